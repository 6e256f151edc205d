// Hosts that fall silent together become suspect one after another: the first of them must not be moved before the last
// ones show that the fault is not theirs.

import { expect, test } from 'vitest';
import { Installation } from './installation.js';

test.each([3, 4, 10].flatMap((hosts) => [0, 130, 377, 611, 900].map((afterMs) => [hosts, afterMs] as const)))(
  'when all of %i hosts are cut off, networks with a single server do not move (phase %i ms)',
  async (count, afterMs) => {
    const networkIds = Array.from({ length: count }, (_, n) => `n${n}`);
    const installation = await Installation.start({});
    for (let n = 0; n < count; n++) {
      await installation.addHost(`h${n}`, networkIds);
      // So that their heartbeats are spread over the interval.
      await installation.advance(97);
    }
    for (const [n, networkId] of networkIds.entries()) {
      await installation.createNetwork(networkId, { dhcpServerCount: 1 });
      await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
    }
    await installation.advance(20_000 + afterMs);
    const placed = () => networkIds.map((id) => installation.placements(id).map((line) => line.split(' ')[0]));
    const before = placed();
    for (const host of installation.hosts.values()) host.wire.cut();
    await installation.advance(20_000);
    expect(placed()).toEqual(before);
    await installation.stop();
  },
);
