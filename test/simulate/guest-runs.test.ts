// Runs with guests on wires: the rules of the wire hold through whatever a schedule does.

import { createAgent } from '@leasehold/agent/agent';
import type { SessionTransport } from '@leasehold/agent/session/session-transport';
import { expect, test } from 'vitest';
import type { MakeAgent } from './host-node.js';
import { runSchedule } from './run.js';
import { type Action, type Schedule, scheduleOf } from './schedule.js';

test.each([1, 2, 3, 4, 5, 6])(
  'seed %s: guests of every kind break no rule of the wire, nor does anybody else',
  async (seed) => {
    const { violation, trace, counts } = await runSchedule(scheduleOf(seed, { minutes: 5, hasGuests: true }));
    expect(violation, trace.slice(-40).join('\n')).toBeUndefined();
    expect(counts.get('seen: guest got an address') ?? 0).toBeGreaterThan(0);
  },
);

test('with guests, too, a seed sees the same again, and another one something else', async () => {
  const digests: string[] = [];
  for (const seed of [7, 7, 8]) {
    digests.push((await runSchedule(scheduleOf(seed, { minutes: 2, hasGuests: true }))).digest);
  }
  expect(digests[1]).toBe(digests[0]);
  expect(digests[2]).not.toBe(digests[0]);
});

/** Every MAC has its guest; then every host is cut off for longer than S, and guests go on asking. */
function cutOffForLong(): Schedule {
  const schedule = scheduleOf(1, { minutes: 5, hasGuests: true });
  const { hosts, servers, networks } = schedule.setup;
  const asked = { atMs: 22_000, via: 0, kind: 'reserve', isNew: false, hasRequestId: false, isTwice: false } as const;
  const reserves = networks.flatMap(({ macs }, network) => macs.map((_, mac): Action => ({ ...asked, network, mac })));
  const cut: Action = { atMs: 40_000, kind: 'cut', of: hosts, from: servers, way: 'both', forMs: 240_000 };
  return { ...schedule, actions: [...reserves, cut] };
}

test('an agent that takes more authority than it is given is seen, and one that does not is not', async () => {
  const good = await runSchedule(cutOffForLong());
  expect(good.violation, good.trace.join('\n')).toBeUndefined();
  const bad = await runSchedule(cutOffForLong(), { makeAgent: greedyAgent });
  expect(bad.violation?.invariant).toBe('A1');
});

const greedyAgent: MakeAgent = (ports, config) => createAgent({ ...ports, transport: greedy(ports.transport) }, config);

function greedy(transport: SessionTransport): SessionTransport {
  return {
    open: (server, handlers, speaksWithinMs) =>
      transport.open(
        server,
        {
          onClose: (reason) => handlers.onClose(reason),
          onMessage: (response) => {
            const { message } = response;
            const authority = { seconds: 3_600n, nanos: 0 };
            if (message?.$case === 'welcome') message.value = { ...message.value, authority };
            handlers.onMessage(response);
          },
        },
        speaksWithinMs,
      ),
  };
}
