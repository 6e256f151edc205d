// A host's side of the wire without packets: what guests would be answered is in the tables.

import { FakeDhcpBackend } from '../fakes/fake-dhcp-backend.js';
import { FakeWire } from '../fakes/fake-wire.js';
import type { HostWire } from './host-node.js';

/** A wire on which nothing is said. */
export function playedWire(): HostWire {
  return {
    backend: () => new FakeDhcpBackend(),
    frameSockets: () => new FakeWire(),
    killed() {},
  };
}
