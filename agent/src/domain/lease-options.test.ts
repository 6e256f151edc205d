import type { Ipv4, Mac } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { OPTION } from './dhcp/codes.js';
import type { DhcpMessage } from './dhcp/message.js';
import { leaseOptions } from './lease-options.js';
import type { Lease } from './table.js';

test('a setting that slipped in under the code of a time, the server or the netmask does not reach the guest', () => {
  const none = 0 as Ipv4;
  const subnet: Lease['subnet'] = {
    subnetId: 's',
    cidr: { base: 0x0a000000 as Ipv4, prefixLength: 24 },
    gateway: undefined,
    dnsServers: [],
    ntpServers: [],
    domainName: '',
    domainSearch: [],
    mtu: 0,
    routes: [],
    options: [],
    leaseSeconds: 120,
    settings: new Map([51, 53, 54, 58, 59, 1].map((code) => [code, Uint8Array.of(255)])),
  };
  const mac = '02:00:00:00:00:01' as Mac;
  const entry = { reservationId: 'r', address: (0x0a000000 + 10) as Ipv4, mac, hostname: '', options: [] };
  const head = { op: 'request', xid: 1, flags: 0, ciaddr: none, yiaddr: none, siaddr: none, giaddr: none } as const;
  const request: DhcpMessage = { ...head, mac, options: new Map([[OPTION.parameterList, Uint8Array.of(51, 54, 58)]]) };
  for (const each of [request, { ...request, options: new Map() }]) {
    const options = leaseOptions('ack', each, { entry, subnet }, none);
    expect([...options.values()].some((value) => value[0] === 255 && value.length === 1)).toBe(false);
    expect(options.get(OPTION.leaseTime)).toEqual(Uint8Array.of(0, 0, 0, 120));
  }
});
