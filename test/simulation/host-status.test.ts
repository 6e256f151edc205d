// What users are told of hosts: nothing that the server they ask does not know.

import type { HostId, NetworkId } from '@leasehold/server/domain/ids';
import { expect, test } from 'vitest';
import { Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';
import { ServerGroup } from './server-group.js';

const RETURN_MS = 15_000;

function looked({ plane: { useCases } }: { readonly plane: Installation['plane'] }) {
  const hosts = [...useCases.context.view.hosts.values()].map((host) => useCases.hostStatus(host).liveness);
  const { counts } = useCases.status.get();
  return { hosts, up: counts.hostsUp, of: counts.hosts };
}

test('a server that does not lead calls no host down, also when nobody leads', async () => {
  const group = new ServerGroup({});
  const leader = await group.start();
  const follower = await group.start();
  const about = { failureDomain: '', backend: 'builtin', agentVersion: '0' };
  const attachments = [{ networkId: 'red' as NetworkId, interface: 'br-red' }];
  await group.during(leader.plane.useCases.hosts.reported({ hostId: 'h1' as HostId, ...about, attachments }));
  await group.clock.advance(120_000);
  const [host] = follower.plane.useCases.context.view.hosts.values();
  if (!host) throw new Error('There is no host');
  const { hostStatus } = follower.plane.useCases;
  expect(leader.plane.useCases.hostStatus(host).liveness).toBe('down');
  expect(hostStatus(host)).toMatchObject({
    liveness: 'unknown',
    attachments: [{ reason: expect.stringMatching(/^Known only to the server that leads, /) }],
  });
  await group.kill(leader);
  await group.clock.advance(4_000);
  expect(follower.plane.lease.epoch).toBeUndefined();
  expect(hostStatus(host).liveness).toBe('unknown');
  await group.stop();
});

test('after a start hosts are unknown, and not up, until they are heard or called down', async () => {
  const installation = await Installation.start({ h1: ['red'], h2: ['red'] });
  expect(looked(installation)).toEqual({ hosts: ['up', 'up'], up: 2, of: 2 });
  await installation.killServer();
  await installation.host('h2').kill();
  await installation.startServer();
  expect(looked(installation)).toEqual({ hosts: ['unknown', 'unknown'], up: 0, of: 2 });
  await installation.advance(5_000);
  expect(looked(installation)).toEqual({ hosts: ['up', 'unknown'], up: 1, of: 2 });
  await installation.advance(2 * RETURN_MS);
  expect(looked(installation)).toEqual({ hosts: ['up', 'down'], up: 1, of: 2 });
  await installation.stop();
});

test('a host that was dead before the server stood still is unknown after that, and not up', async () => {
  const installation = await Installation.start({ h1: ['red'], h2: ['red'] });
  await installation.advance(20_000);
  await installation.host('h2').kill();
  await installation.advance(10_000);
  expect(looked(installation).hosts).toEqual(['up', 'down']);
  installation.clock.jump(10_000);
  await installation.advance(3_000);
  expect(looked(installation).hosts).toEqual(['up', 'unknown']);
  await installation.advance(2 * RETURN_MS);
  expect(looked(installation).hosts).toEqual(['up', 'down']);
  const logged = () => installation.log.lines.flatMap(({ message }) => (/^host is/.test(message) ? [message] : []));
  expect(logged()).toEqual(['host is down']);
  await installation.host('h2').start();
  await installation.advance(5_000);
  expect(looked(installation).hosts).toEqual(['up', 'up']);
  expect(logged()).toEqual(['host is down', 'host is up again']);
  await installation.stop();
});

test('a host whose agent dies with every hello is down, however often it says hello', async () => {
  const installation = await Installation.start({ h1: ['red'], h2: ['red'] });
  await installation.advance(20_000);
  await installation.host('h2').kill();
  const seen = new Set<string | undefined>();
  for (let ms = 0; ms < 150_000; ms += 2_000) {
    const agent = new PlayedAgent(installation, 'h2');
    const hello = agent.hello();
    await agent.breaks();
    await hello;
    // What others do makes no difference.
    if (ms % 20_000 === 0) await new PlayedAgent(installation, 'h3').hello();
    await installation.advance(2_000);
    if (ms >= 25_000) seen.add(looked(installation).hosts[1]);
  }
  expect([...seen]).toEqual(['down']);
  await installation.stop();
});
