// What the SDK's examples show is so: each runs, built, against the fake server and against the real one.

import { join } from 'node:path';
import { connect } from '@leasehold/sdk';
import { expect, test, vi } from 'vitest';
import { Engine } from '../../sdk/examples/engine/engine.js';
import { fakePlace } from '../conformance/api/fake-place.js';
import { serverPlace } from '../conformance/api/server-place.js';
import { repositoryRoot } from '../support/repository.js';
import { runOrThrow } from '../support/run.js';

const ENGINE = join(repositoryRoot, 'sdk/examples/dist/engine/main.js');

test.each([
  ['the fake server', fakePlace],
  ['a server', serverPlace],
] as const)('the engine starts, migrates, re-links and stops a VM against %s', async (_, start) => {
  const place = await start();
  const leasehold = connect({ server: place.address });
  try {
    for (const [networkId, cidr] of [
      ['red', '10.1.0.0/29'],
      ['blue', '10.2.0.0/29'],
    ] as const) {
      await leasehold.networks.create({ networkId });
      await leasehold.subnets.create({ networkId, cidr });
    }
    await place.addHost('h1', ['red', 'blue']);
    const told = await runOrThrow(process.execPath, [ENGINE, 'red', 'blue'], {
      env: { LEASEHOLD_SERVER: place.address },
    });
    expect(
      told
        .replaceAll(/10\.([12])\.0\.\d/g, '10.$1.0.x')
        .trim()
        .split('\n'),
    ).toEqual([
      'vm-1 runs on host-a',
      'vm-1 has 10.1.0.x in red',
      'vm-1 moved to host-b',
      'vm-1 still has 10.1.0.x',
      'vm-1 has 10.2.0.x in blue',
      'vm-1 is gone',
      '10.2.0.x of vm-1/52:54:00:00:00:01 is quarantined',
      '10.1.0.x of vm-1/52:54:00:00:00:01 is quarantined',
    ]);
  } finally {
    await leasehold.close();
    await place.remove();
  }
});

test('a VM that cannot have all its addresses gets none, whatever answer was lost, and what it had before stays', async () => {
  const place = await fakePlace();
  const leasehold = connect({ server: place.address });
  try {
    for (const networkId of ['red', 'full']) await leasehold.networks.create({ networkId });
    await leasehold.subnets.create({ networkId: 'red', cidr: '10.1.0.0/29' });
    await leasehold.subnets.create({ networkId: 'full', cidr: '10.2.0.0/30', gateway: '10.2.0.1' });
    await leasehold.reservations.reserve({ networkId: 'full', mac: '52:54:00:00:00:0f' });
    await place.addHost('h1', ['red', 'full']);
    // As with a first answer that was lost: the SDK repeats the reserve, and is told of the second attempt.
    const reserve = leasehold.reservations.reserve.bind(leasehold.reservations);
    vi.spyOn(leasehold.reservations, 'reserve').mockImplementation(async (...asked) => {
      await reserve(...asked);
      return reserve(...asked);
    });
    const unused = () => Promise.reject(new Error('No VM was started'));
    const engine = new Engine(leasehold, { run: unused, move: unused, end: unused });
    const [before, after] = ['52:54:00:00:00:01', '52:54:00:00:00:02'];
    await leasehold.reservations.reserve({ networkId: 'red', mac: before });
    const nics = [
      { mac: before, networkId: 'red' },
      { mac: after, networkId: 'red' },
      { mac: '52:54:00:00:00:03', networkId: 'full' },
    ];
    await expect(engine.start({ name: 'vm-1', nics }, 'host-a')).rejects.toThrow(
      /vm-1 cannot start: full has no address left/,
    );
    const states = (await leasehold.reservations.list({ networkId: 'red' }).toArray()).map((each) => [
      each.mac,
      each.state,
    ]);
    expect(Object.fromEntries(states)).toEqual({ [before]: 'reserved', [after]: 'quarantined' });
  } finally {
    await leasehold.close();
    await place.remove();
  }
});
