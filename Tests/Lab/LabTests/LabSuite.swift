import Testing

/// Tests that make labs: one at a time, since each compares the machine before and after.
@Suite(
  .serialized,
  .enabled(
    if: labObstacle == nil, "no lab can be made here: it takes root, ip, nsenter, sshd and both iptables backends"))
struct LabSuite {}
