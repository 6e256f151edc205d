import type { Ipv4, Mac } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { FORGOTTEN_AFTER_MS, ForeignServers, MAX_FOREIGN_SERVERS } from './foreign-servers.js';

const MAC = '52:54:00:00:00:01' as Mac;

function server(n: number, mac?: Mac): { readonly address: Ipv4; readonly mac: Mac | undefined } {
  return { address: (0x0a000000 + n) as Ipv4, mac };
}

test('one is told of until it was not noticed for ten minutes', () => {
  const servers = new ForeignServers();
  expect(servers.noticed(server(1, MAC), 0)).toBe(true);
  expect(servers.noticed(server(1, MAC), 100)).toBe(false);
  expect(servers.list(99 + FORGOTTEN_AFTER_MS)).toEqual([server(1, MAC)]);
  expect(servers.list(100 + FORGOTTEN_AFTER_MS)).toEqual([]);
});

test('one that was named is told of, and its MAC once it is known', () => {
  const servers = new ForeignServers();
  expect(servers.noticed(server(1), 0)).toBe(true);
  expect(servers.noticed(server(1, MAC), 1)).toBe(true);
  expect(servers.noticed(server(1), 2)).toBe(false);
  expect(servers.list(3)).toEqual([server(1, MAC)]);
});

test('whatever guests name, there are four at most, and one that was seen has room', () => {
  const servers = new ForeignServers();
  for (let n = 0; n < 100; n++) servers.noticed(server(n), n);
  expect(servers.list(100)).toHaveLength(MAX_FOREIGN_SERVERS);
  expect(servers.noticed(server(200, MAC), 100)).toBe(true);
  expect(servers.list(100)).toContainEqual(server(200, MAC));
  expect(servers.list(100)).toHaveLength(MAX_FOREIGN_SERVERS);
});
