/// Services that policies may name without defining them. `ssh` is not here: it is the host's own port.
///
/// Ports are those of the IANA registry (Service Name and Transport Protocol Port Number Registry), and what servers of
/// that name use today: https is TCP alone, since HTTP/3 is an offer of its own (`http3`).
package enum ServiceTable {
  package static let ssh = "ssh"

  private static let words: [String: String] = [
    "bgp": "tcp/179", "cassandra": "tcp/9042", "consul": "tcp/8300-8302 udp/8301-8302 tcp/8500",
    "dhcp-server": "udp/67",
    "dns": "udp/53 tcp/53", "dns-over-tls": "tcp/853", "elasticsearch": "tcp/9200 tcp/9300", "etcd": "tcp/2379-2380",
    "ftp": "tcp/21", "git": "tcp/9418", "grafana": "tcp/3000", "http": "tcp/80", "http3": "udp/443", "https": "tcp/443",
    "imap": "tcp/143", "imaps": "tcp/993", "ipsec": "udp/500 udp/4500 proto/esp", "iscsi": "tcp/3260",
    "kerberos": "tcp/88 udp/88", "kafka": "tcp/9092", "kubernetes-api": "tcp/6443", "ldap": "tcp/389",
    "ldaps": "tcp/636", "managesieve": "tcp/4190", "mariadb": "tcp/3306", "mdns": "udp/5353", "memcached": "tcp/11211",
    "mongodb": "tcp/27017", "mosh": "udp/60000-61000", "mqtt": "tcp/1883", "mqtts": "tcp/8883", "mysql": "tcp/3306",
    "nfs": "tcp/2049", "node-exporter": "tcp/9100", "ntp": "udp/123", "openvpn": "udp/1194", "pop3": "tcp/110",
    "pop3s": "tcp/995", "postgres": "tcp/5432", "postgresql": "tcp/5432", "prometheus": "tcp/9090",
    "puppet": "tcp/8140",
    "rabbitmq": "tcp/5672", "redis": "tcp/6379", "rsync": "tcp/873", "salt": "tcp/4505-4506", "smb": "tcp/445",
    "smtp": "tcp/25", "smtps": "tcp/465", "snmp": "udp/161", "snmp-trap": "udp/162", "submission": "tcp/587",
    "syslog": "udp/514 tcp/514", "syslog-tls": "tcp/6514", "tftp": "udp/69", "vrrp": "proto/vrrp",
    "wireguard": "udp/51820", "zabbix-agent": "tcp/10050", "zabbix-server": "tcp/10051",
  ]

  package static let all: [String: [ServicePort]] = words.mapValues { text in
    text.split(separator: " ").map { ServiceText.port(String($0))! }
  }

  package static var names: [String] { (Array(words.keys) + [ssh]).sorted() }
}
