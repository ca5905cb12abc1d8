/// The version of this build: controller and agent of one build carry the same.
package enum ProductVersion {
  package static let current = "0.1.0"
}
