package import Core

/// A lockdown layer to be tried in a scratch stack, above the rules that are rehearsed there.
package struct LayerRehearsal: Hashable, Sendable {
  /// For a kernel that holds nothing of a layer.
  package var texts: PerFamily<[UInt8]>
  /// Who is to get no answer while it is loaded. Nothing listens at these ports in the scratch stack, so that even a
  /// refusal is an answer.
  package var outsiders: [Outsider]

  package init(texts: PerFamily<[UInt8]>, outsiders: [Outsider] = []) {
    self.texts = texts
    self.outsiders = outsiders
  }

  package struct Outsider: Hashable, Sendable {
    /// A numeric address that is nobody's.
    package var source: String
    package var ports: [UInt16]

    package init(source: String, ports: [UInt16]) {
      self.source = source
      self.ports = ports
    }
  }
}

package enum LayerRehearsed: Hashable, Sendable {
  case loaded(LoadedLayer)
  /// It does not load, in words of its programs.
  case refused(String)
}

package struct LoadedLayer: Hashable, Sendable {
  /// What the save programs print of the layer alone, canonical.
  package var printed: PerFamily<[UInt8]>
  /// Nil when no knock was asked for.
  package var knock: KnockResult?
  /// Ports at which an outsider was answered.
  package var answered: [UInt16]

  package init(printed: PerFamily<[UInt8]>, knock: KnockResult? = nil, answered: [UInt16] = []) {
    self.printed = printed
    self.knock = knock
    self.answered = answered
  }
}
