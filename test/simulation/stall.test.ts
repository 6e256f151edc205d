// A server that stood still knows nothing about anybody: neither silence nor broken streams move a placement then.

import type { NetworkId } from '@leasehold/server/domain/ids';
import { expect, test } from 'vitest';
import { Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';

const RED = 'red' as NetworkId;

// After a stall timers run before sockets are read, or after it, as it comes; and what was said before the end is read first.
test.each(['before', 'after', 'by their last words after'])(
  'streams that a server finds broken %s it notices that it stood still move nothing',
  async (when) => {
    const installation = await Installation.start();
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
    const ids = ['h1', 'h2', 'h3', 'h4', 'h5'];
    const beats = new Map<PlayedAgent, bigint>();
    const open = async (id: string) => {
      const agent = new PlayedAgent(installation, id);
      await agent.hello();
      beats.set(agent, 0n);
      return agent;
    };
    const agents = new Map<string, PlayedAgent>();
    for (const id of ids) agents.set(id, await open(id));
    const run = async (ms: number) => {
      for (let t = 0; t < ms; t += 500) {
        for (const agent of agents.values()) {
          const n = (beats.get(agent) ?? 0n) + 1n;
          beats.set(agent, n);
          if (agent.deliveries.length > 0) await agent.acknowledge();
          await agent.heartbeat(n, []);
        }
        await installation.advance(500);
      }
    };
    await run(15_000);
    const placed = () => installation.disk.networks.get(RED)?.placements.map(({ hostId }) => hostId);
    const serving = placed()?.[0] ?? '';
    const old = [...agents.values()];
    const saidLast = new Map(old.map((agent) => [agent, (beats.get(agent) ?? 0n) + 1n]));
    for (const agent of old) beats.delete(agent);
    agents.clear();
    // It stands still for 30 s: its agents left, and dial again every few seconds.
    installation.clock.jump(30_000);
    if (when === 'before') for (const agent of old) await agent.breaks();
    await installation.advance(1);
    for (const agent of when === 'before' ? [] : old) {
      if (when !== 'after') await agent.heartbeat(saidLast.get(agent) ?? 0n, []);
      await agent.breaks();
    }
    for (const id of ids) if (id !== serving) agents.set(id, await open(id));
    await run(4_000);
    agents.set(serving, await open(serving));
    await run(3_000);
    expect(placed()).toEqual([serving]);
    await installation.stop();
  },
);
