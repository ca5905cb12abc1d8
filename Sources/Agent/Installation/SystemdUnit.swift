/// Our units, written by the agent itself so that installing needs no package. `packaging/` holds the same text, which
/// a test compares.
package enum SystemdUnit: String, Sendable, CaseIterable {
  case agent = "portcullis-agent.service"
  case restore = "portcullis-restore.service"
  /// Started by systemd alone, when `restore` failed.
  case safe = "portcullis-safe.service"

  /// What `systemctl enable` is told; the others are started by these.
  package static let enabled: [SystemdUnit] = [.agent, .restore]

  package var fileName: String { rawValue }

  /// The units that start this one at boot, when it is enabled.
  package var wantedBy: [String] {
    let key = "WantedBy="
    return text.split(separator: "\n").filter { $0.hasPrefix(key) }.map { String($0.dropFirst(key.count)) }
  }

  package var text: String {
    switch self {
    case .agent: Self.agentText
    case .restore: Self.restoreText
    case .safe: Self.safeText
    }
  }

  private static let agentText =
    #"""
    [Unit]
    Description=Portcullis agent: keeps this host's packet filter as its owners signed it
    After=local-fs.target portcullis-restore.service
    # So that interfaces which come late are there when it puts their settings in order.
    After=network.target
    ConditionPathExists=/etc/portcullis/host
    # A keeper that fails again and again is started again and again, and may be replaced by one that works at any time.
    StartLimitIntervalSec=0

    [Service]
    Type=notify
    NotifyAccess=main
    ExecStart=/usr/local/lib/portcullis/portcullis-agent serve
    # What the sandbox below cannot do: load the modules of the legacy programs, make the lock file they share.
    ExecStartPre=-+/sbin/modprobe -abq ip_tables ip6_tables nf_tables
    ExecStartPre=+/bin/touch /run/xtables.lock
    Restart=always
    RestartSec=1
    # SIGTERM goes to the daemon only: it takes a change back that waits for its confirmation, lets the programs of a running
    # apply end, and stops. When it ends in any other way, SIGKILL ends all it started, its guard too: what was begun is then
    # taken back by the daemon that Restart= starts, so that never two of them work on the rules.
    KillMode=mixed
    TimeoutStopSec=300
    # The firewall's keeper is the last one to go when memory runs out.
    OOMScoreAdjust=-900
    MemoryMax=512M
    TasksMax=32

    RuntimeDirectory=portcullis
    RuntimeDirectoryMode=0755
    RuntimeDirectoryPreserve=yes
    StateDirectory=portcullis
    # The home of the unprivileged login is below; what is ours in there is 0600.
    StateDirectoryMode=0711
    UMask=0077

    # NET_ADMIN and NET_RAW: the rules. SYS_ADMIN: the scratch network namespaces of a rehearsal. NET_BIND_SERVICE: sshd's port
    # in there. CHOWN: the socket's group. Not KILL or SYS_PTRACE: daemon and guard are of one user, and know each other by pidfd.
    CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_ADMIN CAP_CHOWN
    NoNewPrivileges=yes
    RestrictNamespaces=net
    # Never PrivateNetwork=: the rules would be those of another namespace. Never IPAddressDeny=: it follows a process into
    # scratch namespaces, where the knock would then fail whatever the rules say.
    RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
    ProtectSystem=strict
    # "-": the line that makes the file has these mounts too, and would fail for want of it.
    ReadWritePaths=-/run/xtables.lock
    ProtectHome=yes
    PrivateTmp=yes
    PrivateDevices=yes
    PrivateMounts=yes
    # Of the kernel's settings only those of this network namespace: forwarding and the like, which come with the rules.
    ProtectKernelTunables=yes
    ReadWritePaths=-/proc/sys/net
    ProtectKernelModules=yes
    ProtectKernelLogs=yes
    ProtectControlGroups=yes
    ProtectClock=yes
    ProtectHostname=yes
    ProtectProc=invisible
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    RemoveIPC=yes
    KeyringMode=private
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallErrorNumber=EPERM

    [Install]
    WantedBy=multi-user.target

    """#

  private static let restoreText =
    #"""
    [Unit]
    Description=Portcullis: load the committed rules before the network comes up
    DefaultDependencies=no
    Wants=network-pre.target
    # After those who replace whole tables, in case one is still enabled.
    After=local-fs.target systemd-modules-load.service
    # So that what the release says of kernel settings is the last word.
    After=systemd-sysctl.service
    After=nftables.service netfilter-persistent.service iptables.service ip6tables.service ufw.service
    # Before the network, and before those who add rules of their own, so that they find ours.
    Before=network-pre.target shutdown.target
    Before=docker.service containerd.service crio.service kubelet.service k3s.service k3s-agent.service
    Before=rke2-server.service rke2-agent.service libvirtd.service virtnetworkd.service lxc-net.service fail2ban.service
    Conflicts=shutdown.target
    # When the agent cannot even start. Not when there is no agent here: a condition that is not met is no failure.
    OnFailure=portcullis-safe.service
    RequiresMountsFor=/var/lib/portcullis
    ConditionPathExists=/etc/portcullis/host

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/local/lib/portcullis/portcullis-agent restore
    # It could not load the committed rules, and loaded the safe policy itself.
    SuccessExitStatus=2
    ExecStartPre=-+/sbin/modprobe -abq ip_tables ip6_tables nf_tables
    ExecStartPre=+/bin/touch /run/xtables.lock
    TimeoutStartSec=120

    RuntimeDirectory=portcullis
    RuntimeDirectoryMode=0755
    RuntimeDirectoryPreserve=yes
    StateDirectory=portcullis
    StateDirectoryMode=0711
    UMask=0077

    CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_ADMIN
    NoNewPrivileges=yes
    RestrictNamespaces=net
    RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
    IPAddressDeny=any
    ProtectSystem=strict
    # "-": the line that makes the file has these mounts too, and would fail for want of it.
    ReadWritePaths=-/run/xtables.lock
    ProtectHome=yes
    PrivateDevices=yes
    PrivateMounts=yes
    # Of the kernel's settings only those of this network namespace: forwarding and the like, which come with the rules.
    ProtectKernelTunables=yes
    ReadWritePaths=-/proc/sys/net
    ProtectKernelModules=yes
    ProtectKernelLogs=yes
    ProtectControlGroups=yes
    ProtectClock=yes
    ProtectHostname=yes
    ProtectProc=invisible
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    RemoveIPC=yes
    KeyringMode=private
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallErrorNumber=EPERM

    [Install]
    WantedBy=sysinit.target

    """#

  private static let safeText =
    #"""
    [Unit]
    Description=Portcullis: load the plain safe rules with the stock programs, because the agent could not
    DefaultDependencies=no
    After=local-fs.target portcullis-restore.service
    Before=network-pre.target shutdown.target
    Before=docker.service containerd.service crio.service kubelet.service k3s.service k3s-agent.service
    Before=rke2-server.service rke2-agent.service libvirtd.service virtnetworkd.service lxc-net.service fail2ban.service
    Conflicts=shutdown.target
    RequiresMountsFor=/var/lib/portcullis
    ConditionPathExists=/etc/portcullis/host

    [Service]
    Type=oneshot
    ExecStartPre=-+/sbin/modprobe -abq ip_tables ip6_tables nf_tables
    # The programs lie in other folders on other distributions: systemd looks for them in its own fixed path.
    ExecStart=ip6tables-restore --wait=30 --noflush /var/lib/portcullis/safe/ipv6.rules
    # Runs whatever became of the line above, and a failure of either is the unit's: a prefix "-" would hide the first one's.
    ExecStopPost=iptables-restore --wait=30 --noflush /var/lib/portcullis/safe/ipv4.rules
    TimeoutStartSec=60
    TimeoutStopSec=60
    UMask=0077

    # The last resort: nothing here may need a mount namespace, a control group or the agent, which may be what failed.
    CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW
    NoNewPrivileges=yes
    RestrictNamespaces=yes
    RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    KeyringMode=private
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallErrorNumber=EPERM

    """#
}
