/// Our units, written by the agent itself so that installing needs no package. `packaging/` holds the same text, which
/// a test compares.
package enum SystemdUnits {
  package static let agent = "portcullis-agent.service"
  package static let restore = "portcullis-restore.service"

  package static func text(of unit: String) -> String { unit == agent ? agentText : restoreText }

  private static let agentText =
    #"""
    [Unit]
    Description=Portcullis agent: keeps this host's packet filter as its owners signed it
    After=local-fs.target portcullis-restore.service
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
    # SIGTERM goes to the daemon only: the programs of a running apply end by themselves, then it stops.
    KillMode=mixed
    TimeoutStopSec=90
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

    # NET_ADMIN and NET_RAW: the rules. SYS_ADMIN: the scratch network namespace of a rehearsal. CHOWN: the socket's group.
    CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_ADMIN CAP_CHOWN
    NoNewPrivileges=yes
    RestrictNamespaces=net
    # Never PrivateNetwork=: the rules would be those of another namespace.
    RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
    IPAddressDeny=any
    ProtectSystem=strict
    ReadWritePaths=/run/xtables.lock
    ProtectHome=yes
    PrivateTmp=yes
    PrivateDevices=yes
    ProtectKernelTunables=yes
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
    After=local-fs.target systemd-modules-load.service
    Before=network-pre.target docker.service shutdown.target
    Conflicts=shutdown.target
    RequiresMountsFor=/var/lib/portcullis
    ConditionPathExists=/etc/portcullis/host

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/local/lib/portcullis/portcullis-agent restore
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
    ReadWritePaths=/run/xtables.lock
    ProtectHome=yes
    PrivateDevices=yes
    ProtectKernelTunables=yes
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
}
