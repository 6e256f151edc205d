import type { Ipv4 } from '@leasehold/proto/values';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NetworkId } from '../../domain/ids.js';
import { addressIn, isSlotKeyOf, parseSlotKey, slotKey, slotPrefix } from './keys.js';

const network = fc.constantFrom('a', 'a-b', 'ab', 'b').map((id) => id as NetworkId);
const address = fc.integer({ min: 0, max: 0xffffffff }).map((n) => n as Ipv4);

test('the key of a slot tells its network and its address, and belongs to no other network', () => {
  fc.assert(
    fc.property(network, network, address, (networkId, other, at) => {
      const key = slotKey(networkId, at);
      expect(parseSlotKey(key)).toEqual({ networkId, address: at });
      expect(addressIn(key)).toBe(at);
      expect(isSlotKeyOf(slotPrefix(other), key)).toBe(other === networkId);
    }),
  );
});
