// The reservations of one network on this host, with the subnets they live in: everything an answer depends on.
//
//   T1. Every value was parsed from the wire and is printed from the parsed form; what does not parse is refused whole.
//   T2. One entry per address and one per MAC.
//   T3. The digest always covers exactly what is in the table.

export class NetworkTable {}
