// An agent that knows one server of two: it finds the one that leads wherever that is, also when its own one is gone.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { startProgram, type WatchedProcess } from '../support/processes.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

// The lead is taken over within 5 to 7 s; far more, for a machine that has more to do.
const PATIENCE_MS = 30_000;

describe.skipIf(!(await hasMongod()))('an agent that is given one of two servers', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  let cluster: Cluster;
  let agent: WatchedProcess;

  beforeAll(async () => {
    cluster = await Cluster.startSeveral({ store: mongo.freshUri(), servers: 2 });
    const networks = join(cluster.directory, 'networks');
    writeFileSync(networks, '');
    const [, second] = cluster.servers;
    const args = ['--insecure', '--host-id', 'lone', '--networks-file', networks];
    const place = ['--state-dir', join(cluster.directory, 'lone'), '--server', second?.agentEndpoint ?? ''];
    agent = startProgram('leasehold-agent', [...args, ...place], { namespace: await cluster.lab.namespace('lone') });
  });

  afterAll(async () => {
    await agent.kill();
    await cluster[Symbol.asyncDispose]();
  });

  /** The servers it had sessions with, in their order, once there are `count`. */
  const connected = (count: number) =>
    eventually(
      `${count} sessions`,
      async () => {
        const lines = agent.lines.filter(({ fields }) => fields['msg'] === 'Connected to the control plane');
        return lines.length >= count && lines.map(({ fields }) => fields['server']);
      },
      PATIENCE_MS,
    );

  test('follows to the one that leads, and stays with whoever does while either of them runs', async () => {
    const [first, second] = cluster.servers;
    if (!second) throw new Error('There is no second server');
    expect(await connected(1)).toEqual([first.agentEndpoint]);
    await first.kill();
    expect(await connected(2)).toEqual([first.agentEndpoint, second.agentEndpoint]);
    await first.start();
    // The one it was given is gone; the other one it was told of before.
    await second.kill();
    expect((await connected(3)).at(-1)).toBe(first.agentEndpoint);
  });
});
