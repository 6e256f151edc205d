import { parseIpv4 } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { readPutAddresses } from './system-service-addresses.js';

const OURS = { family: 'inet', local: '169.254.7.7', prefixlen: 32, scope: 'link', label: 'br0' };
const shown = (...infos: object[]) => JSON.stringify([{}, { ifindex: 2, ifname: 'br0', addr_info: [...infos, {}] }]);

test('an address as it is put on an interface is recognised', () => {
  const address = parseIpv4('169.254.7.7');
  const value = [{ link: { name: 'br0', index: 2 }, address: address.ok && address.value }];
  expect(readPutAddresses(shown(OURS))).toEqual({ ok: true, value });
});

test.each([
  ['of another prefix length', { prefixlen: 16 }],
  ['of another scope', { scope: 'global' }],
  ['with a peer', { address: '169.254.10.10' }],
  ['with a broadcast address', { broadcast: '169.254.7.7' }],
  ['for a limited time', { dynamic: true }],
  ['that is not link-local', { local: '10.0.0.1' }],
  ['of IPv6', { local: 'fe80::1' }],
  ['of cloud metadata', { local: '169.254.169.254' }],
])("an address %s is somebody else's", (_, difference) => {
  expect(readPutAddresses(shown({ ...OURS, ...difference }))).toEqual({ ok: true, value: [] });
});

test('nothing shown is no address, and no JSON is a problem', () => {
  expect(readPutAddresses('')).toEqual({ ok: true, value: [] });
  expect(readPutAddresses('2: br0    inet 169.254.7.7/32')).toMatchObject({ ok: false });
});
