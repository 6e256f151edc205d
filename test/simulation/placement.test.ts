// The manager with real agents in virtual time: who serves what, and what moves when something fails.

import type { HostId, NetworkId, Uid } from '@leasehold/server/domain/ids';
import { afterEach, describe, expect, test } from 'vitest';
import { CALL } from './commands.js';
import { accepted, Installation } from './installation.js';

let installation: Installation;

afterEach(async () => {
  await installation.stop();
});

async function redOn(hosts: readonly string[], dhcpServerCount = 1): Promise<void> {
  installation = await Installation.start(Object.fromEntries(hosts.map((hostId) => [hostId, ['red']])));
  await installation.createNetwork('red', { dhcpServerCount });
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
  await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
  // Long enough for the first heartbeats: until then nobody knows that the hosts hear the server.
  await installation.advance(2_000);
}

/** What hosts are told from now on: all of it, or of one network, with the epochs of their placements. */
function whatIsTold(): readonly string[] {
  const told: string[] = [];
  const { agents } = installation.plane;
  const [provide, provideNetwork] = [agents.provide.bind(agents), agents.provideNetwork.bind(agents)];
  agents.provide = (hostId, networks, undecided) => {
    told.push(`${hostId} ${networks.map(({ networkId, placementEpoch }) => `${networkId}: ${placementEpoch}`)}`);
    return provide(hostId, networks, undecided);
  };
  agents.provideNetwork = (hostId, networkId, network) => {
    told.push(`${hostId} ${networkId}: ${network?.placementEpoch ?? 'no'}`);
    return provideNetwork(hostId, networkId, network);
  };
  return told;
}

const ANSWER = '52:54:00:00:00:01=10.0.0.10';

describe('who serves', () => {
  test('as many hosts serve as the network wants, and they have every reservation', async () => {
    await redOn(['h1', 'h2', 'h3'], 2);
    expect(installation.answers('red')).toHaveLength(2);
    expect(new Set(installation.answers('red').map((line) => line.split(' ')[1]))).toEqual(new Set([ANSWER]));
    expect(installation.placements('red').map((line) => line.split(' ')[1])).toEqual(['serving', 'serving']);
  });

  test('a network that is disabled, or without subnets, is stopped everywhere', async () => {
    await redOn(['h1', 'h2'], 2);
    await installation.updateNetwork('red', { ipamEnabled: false });
    await installation.advance(100);
    expect(installation.answers('red')).toEqual([]);
    expect(installation.placements('red')).toEqual([]);
    await installation.updateNetwork('red', { ipamEnabled: true });
    await installation.advance(100);
    expect(installation.answering('red')).toHaveLength(2);
  });

  test('a host that is added later serves what is reserved, without anybody reserving again', async () => {
    await redOn([], 1);
    expect(installation.placements('red')).toEqual([]);
    await installation.addHost('h1', ['red']);
    await installation.advance(100);
    expect(installation.answers('red')).toEqual([`h1 ${ANSWER}`]);
  });

  test('a host is told nothing of what was given to a forgotten one that had its name', async () => {
    await redOn(['h1']);
    const { store, view } = installation.plane.useCases.context;
    const network = view.networks.get('red' as NetworkId);
    if (!network) throw new Error('It was made');
    const told = whatIsTold();
    const placements = network.placements.map((each) => ({ ...each, epoch: 2, hostUid: 'forgotten' as Uid }));
    await store.networks.put({ ...network, placements, placementCounter: 2 });
    await installation.advance(0);
    expect(told[0]).toBe('h1 red: no');
    await installation.advance(1_000);
    expect(told.at(-1)).toBe('h1 red: 3');
    expect(installation.answers('red')).toEqual([`h1 ${ANSWER}`]);
  });

  test('a host is told of the one of its networks that changed, alone', async () => {
    const networkIds = ['red', 'blue', 'green'];
    installation = await Installation.start({ h1: networkIds });
    for (const networkId of networkIds) {
      await installation.createNetwork(networkId);
      await installation.createSubnet(networkId, `${networkId}-a`, '10.0.0.0/24');
      await installation.reserve(`${networkId}-a`, '52:54:00:00:00:01');
    }
    await installation.advance(2_000);
    const told = whatIsTold();
    await installation.tryUpdateSubnet('red-a', { mtu: 1_400 });
    await installation.updateNetwork('green', { ipamEnabled: false });
    await installation.advance(1_000);
    await installation.updateNetwork('green', { ipamEnabled: true });
    await installation.advance(1_000);
    expect(told).toEqual(['h1 red: 1', 'h1 green: no', 'h1 green: 2']);
    expect(networkIds.flatMap((networkId) => installation.answering(networkId))).toEqual(['h1', 'h1', 'h1']);
  });

  test('a change of the count adds a host, or stops the one that came last', async () => {
    await redOn(['h1', 'h2']);
    const [first] = installation.answering('red');
    await installation.updateNetwork('red', { dhcpServerCount: 2 });
    await installation.advance(100);
    expect(installation.answering('red')).toEqual(['h1', 'h2']);
    await installation.updateNetwork('red', { dhcpServerCount: 1 });
    await installation.advance(100);
    expect(installation.answering('red')).toEqual([first]);
    expect(installation.placements('red')).toEqual([`${first} serving`]);
  });

  test('servers are spread over failure domains', async () => {
    installation = await Installation.start();
    const networks = Array.from({ length: 10 }, (_, i) => `n${i}`);
    for (const [hostId, domain] of [
      ['h1', 'a'],
      ['h2', 'a'],
      ['h3', 'b'],
    ] as const) {
      await installation.addHost(hostId, networks, domain);
    }
    // By chance alone the only host of the other domain would be left out of one in three.
    for (const networkId of networks) {
      await installation.createNetwork(networkId, { dhcpServerCount: 2 });
      await installation.createSubnet(networkId, networkId, '10.0.0.0/24');
    }
    await installation.advance(100);
    for (const networkId of networks) {
      expect(installation.placements(networkId).filter((line) => line.startsWith('h3 '))).toHaveLength(1);
    }
  });

  test('only hosts whose interface is up get the network, and it moves when the interface goes', async () => {
    installation = await Installation.start({ h1: ['red'] });
    installation.host('h1').links.clear();
    await installation.advance(1_000);
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
    await installation.advance(1_000);
    expect(installation.placements('red')).toEqual([]);
    installation.host('h1').links.set('br-red', 7);
    await installation.advance(1_000);
    expect(installation.placements('red')).toEqual(['h1 serving']);
    await installation.addHost('h2', ['red']);
    installation.host('h1').links.clear();
    await installation.advance(2_000);
    expect(installation.placements('red')).toContain('h2 serving');
  });
});

describe('a host fails', () => {
  test('the agent of the only server is killed: another host answers within three seconds', async () => {
    await redOn(['h1', 'h2']);
    const [first = ''] = installation.answering('red');
    await installation.host(first).kill();
    await installation.advance(3_000);
    const [second] = installation.answering('red');
    expect(second).toBeDefined();
    expect(second).not.toBe(first);
    expect(installation.answers('red')).toEqual([`${second} ${ANSWER}`]);
  });

  test('the only server falls silent: another host answers within five seconds', async () => {
    await redOn(['h1', 'h2']);
    const [first = ''] = installation.answering('red');
    installation.host(first).wire.cut();
    await installation.advance(5_000);
    expect(installation.answering('red')).toEqual(['h1', 'h2']);
    const second = first === 'h1' ? 'h2' : 'h1';
    expect(new Set(installation.placements('red'))).toEqual(new Set([`${first} former`, `${second} serving`]));
  });

  test('a host that returns is stopped, gets no work back, and is forgotten as a former server', async () => {
    await redOn(['h1', 'h2']);
    const [first = ''] = installation.answering('red');
    installation.host(first).wire.cut();
    await installation.advance(5_000);
    const [second] = installation.placements('red').filter((line) => line.endsWith('serving'));
    installation.host(first).wire.heal();
    await installation.advance(10_000);
    expect(installation.placements('red')).toEqual([second]);
    expect(installation.answering('red')).toEqual([second?.split(' ')[0]]);
  });

  test('a stream that returns within a second moves nothing', async () => {
    await redOn(['h1', 'h2']);
    const before = installation.placements('red');
    for (const hostId of installation.answering('red')) installation.host(hostId).wire.breakStream();
    await installation.advance(10_000);
    expect(installation.placements('red')).toEqual(before);
  });

  test('of two servers one dies: it is replaced once it is down, and the other does not move', async () => {
    await redOn(['h1', 'h2', 'h3'], 2);
    const [dead = '', other] = installation.answering('red');
    await installation.host(dead).kill();
    await installation.advance(2_000);
    expect(installation.placements('red').filter((line) => line.endsWith('former'))).toEqual([]);
    await installation.advance(3_000);
    expect(installation.placements('red')).toContain(`${dead} former`);
    expect(installation.answering('red')).toHaveLength(2);
    expect(installation.answering('red')).toContain(other);
  });
});

describe('a host that does not confirm', () => {
  /** Its disk is full, and another one has the network by then. */
  async function failedOnce(): Promise<void> {
    await redOn(['h1']);
    await installation.addHost('h2', ['red']);
    await installation.updateHost('h1', { maintenance: true });
    installation.host('h2').setDisk('full');
    await installation.advance(100);
    await installation.updateHost('h1', { maintenance: false });
    await installation.advance(20_000);
    expect(installation.placements('red')).toContain('h1 serving');
  }

  test('is tried last, and gets the network when there is nobody else', async () => {
    await failedOnce();
    await installation.addHost('h3', ['red']);
    installation.host('h2').setDisk('good');
    await installation.advance(40_000);
    await installation.host('h1').kill();
    await installation.advance(5_000);
    expect(installation.answering('red')).toEqual(['h3']);
    await installation.host('h3').kill();
    await installation.advance(5_000);
    expect(installation.answering('red')).toEqual(['h2']);
  });

  test('is as good as any other, once it served', async () => {
    await failedOnce();
    installation.host('h2').setDisk('good');
    await installation.advance(40_000);
    await installation.host('h1').kill();
    await installation.advance(5_000);
    expect(installation.answering('red')).toEqual(['h2']);
    await installation.addHost('h3', ['red']);
    await installation.updateHost('h2', { maintenance: true });
    await installation.advance(1_000);
    expect(installation.answering('red')).toEqual(['h3']);
    await installation.updateHost('h2', { maintenance: false });
    // Who serves is given up only for a host that did not fail.
    await installation.updateHost('h3', { maintenance: true });
    await installation.advance(1_000);
    expect(installation.answering('red')).toEqual(['h2']);
  });

  test('keeps the network for minutes when the others fail, too', async () => {
    installation = await Installation.start({ h1: ['red'], h2: ['red'], h3: ['red'] });
    for (const host of installation.hosts.values()) host.setDisk('full');
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
    await installation.advance(1_000);
    const placed: string[] = [];
    for (let s = 0; s < 1_800; s++) {
      await installation.advance(1_000);
      const { hostId = '' } = installation.disk.networks.get('red' as NetworkId)?.placements[0] ?? {};
      if (placed.at(-1) !== hostId) placed.push(hostId);
    }
    // Each is tried at once, and again after five minutes.
    expect(new Set(placed).size).toBe(3);
    expect(placed.length).toBeLessThanOrEqual(3 + 2 * 6);
  });
});

describe('what an operator asks for', () => {
  test('maintenance moves a network make before break: somebody answers all the time', async () => {
    await redOn(['h1', 'h2']);
    const [first = ''] = installation.answering('red');
    await installation.updateHost(first, { maintenance: true });
    for (let ms = 0; ms < 100; ms++) {
      expect(installation.answering('red')).not.toEqual([]);
      await installation.advance(1);
    }
    expect(installation.answering('red')).toEqual([first === 'h1' ? 'h2' : 'h1']);
    await installation.updateHost(first, { maintenance: false });
    await installation.advance(5_000);
    expect(installation.answering('red')).toEqual([first === 'h1' ? 'h2' : 'h1']);
  });

  test('with nowhere to go, a host in maintenance goes on serving', async () => {
    await redOn(['h1']);
    await installation.updateHost('h1', { maintenance: true });
    await installation.advance(5_000);
    expect(installation.answers('red')).toEqual([`h1 ${ANSWER}`]);
  });

  test('a host that is not managed serves nothing any more, also after its agent started anew', async () => {
    await redOn(['h1']);
    await installation.updateHost('h1', { managed: false });
    await installation.advance(100);
    expect(installation.answers('red')).toEqual([]);
    await installation.host('h1').kill();
    await installation.host('h1').start();
    await installation.advance(5_000);
    expect(installation.answers('red')).toEqual([]);
    expect(installation.placements('red')).toEqual([]);
  });
});

describe('a rebalance', () => {
  const moves = async (validateOnly: boolean, networkId?: string) => {
    const { rebalance } = installation.plane.useCases;
    return accepted(await rebalance.run(networkId as NetworkId | undefined, validateOnly, CALL));
  };

  test('moves to a new host what it showed before, while somebody answers all the time, and then nothing', async () => {
    const networkIds = ['red', 'n1', 'n2', 'n3'];
    installation = await Installation.start({ h1: networkIds });
    for (const [n, networkId] of networkIds.entries()) {
      await installation.createNetwork(networkId);
      await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
      await installation.reserve(`${networkId}-a`, '52:54:00:00:00:01', `10.${n}.0.10`);
    }
    await installation.addHost('h2', networkIds);
    await installation.advance(5_000);
    expect(networkIds.flatMap((id) => installation.placements(id))).toEqual(networkIds.map(() => 'h1 serving'));
    const shown = await moves(true);
    expect(shown).toHaveLength(2);
    expect(installation.disk.networks.get(shown[0]?.networkId as NetworkId)?.placementCounter).toBe(1);
    expect(await moves(false, 'nowhere').catch((error: Error) => error.message)).toContain('network-not-found');
    expect(await moves(false)).toEqual(shown);
    for (let ms = 0; ms < 100; ms++) {
      for (const { networkId } of shown) expect(installation.answering(networkId)).not.toEqual([]);
      await installation.advance(1);
    }
    await installation.advance(1_000);
    for (const { networkId } of shown) expect(installation.placements(networkId)).toEqual(['h2 serving']);
    expect(await moves(false)).toEqual([]);
  });

  test('leaves out a move whose network was changed meanwhile', async () => {
    installation = await Installation.start({ h1: ['red', 'blue'] });
    for (const [n, networkId] of ['red', 'blue'].entries()) {
      await installation.createNetwork(networkId);
      await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
    }
    await installation.addHost('h2', ['red', 'blue']);
    await installation.advance(5_000);
    const [move] = await moves(true);
    const { networks } = installation.plane.useCases.context.store;
    const put = networks.put.bind(networks);
    networks.put = async (...args) => {
      networks.put = put;
      await installation.updateNetwork(move?.networkId ?? '', { ipamEnabled: false });
      return put(...args);
    };
    expect(await moves(false)).toEqual([]);
    await installation.advance(1_000);
    expect(installation.placements(move?.networkId ?? '')).toEqual([]);
  });
});

describe('a rebalance of more networks than are written at a time', () => {
  const many = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(2, '0')}`);

  /** What it moved; meanwhile, while the first of its writes are under way, something happens. */
  async function rebalanced(meanwhile: () => Promise<void>, least: number) {
    const networkIds = [...many('a', 33), 'm', ...many('z', 36)];
    installation = await Installation.start({ h1: networkIds });
    for (const [n, networkId] of networkIds.entries()) {
      await installation.createNetwork(networkId, { dhcpServerCount: networkId === 'm' ? 2 : 1 });
      await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
    }
    await installation.addHost('h2', ['m']);
    await installation.advance(1_000);
    await installation.addHost('h3', networkIds);
    await installation.advance(5_000);
    expect(installation.placements('m')).toEqual(['h1 serving', 'h2 serving']);
    const { rebalance, context } = installation.plane.useCases;
    const { networks } = context.store;
    const put = networks.put.bind(networks);
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    networks.put = async (...args) => {
      if (args[0].networkId.startsWith('a')) await held;
      return put(...args);
    };
    const moving = rebalance.run(undefined, false, CALL);
    await meanwhile();
    letGo();
    const moves = accepted(await moving);
    expect(moves.length).toBeGreaterThan(least);
    await installation.advance(1_000);
    return moves.filter(({ networkId }) => networkId === 'm');
  }

  test('moves nothing to a host that became a server of the network meanwhile', async () => {
    const moves = await rebalanced(async () => {
      await installation.host('h2').kill();
      await installation.advance(10_000);
      expect(installation.placements('m')).toEqual(['h1 serving', 'h2 former', 'h3 serving']);
    }, 30);
    expect(moves).toEqual([]);
    expect(installation.placements('m')).toEqual(['h1 serving', 'h2 former', 'h3 serving']);
  });

  test('moves nothing to a host that was taken out meanwhile', async () => {
    const moves = await rebalanced(() => installation.updateHost('h3', { maintenance: true }), 10);
    expect(moves).toEqual([]);
    expect(installation.placements('m')).toEqual(['h1 serving', 'h2 serving']);
  });
});

describe('the control plane is the sick one', () => {
  test.each([0, 0.5, 0.99])('a restart moves nothing, however long agents take to come back (%s)', async (chance) => {
    await redOn([], 2);
    installation.agentChance = chance;
    for (const hostId of ['h1', 'h2', 'h3']) await installation.addHost(hostId, ['red']);
    await installation.advance(100);
    const epochs = () => [...installation.disk.networks.values()].map(({ placements }) => placements);
    const before = epochs();
    await installation.killServer();
    await installation.advance(60_000);
    expect(installation.answering('red')).toHaveLength(2);
    await installation.startServer();
    await installation.advance(60_000);
    expect(epochs()).toEqual(before);
    expect(installation.placements('red').map((line) => line.split(' ')[1])).toEqual(['serving', 'serving']);
  });

  test('most hosts fall silent at once: nothing moves, and the status says why', async () => {
    await redOn(['h1', 'h2', 'h3', 'h4', 'h5'], 2);
    const before = installation.placements('red').map((line) => line.split(' ')[0]);
    for (const host of installation.hosts.values()) host.wire.cut();
    await installation.advance(20_000);
    expect(installation.placements('red').map((line) => line.split(' ')[0])).toEqual(before);
    expect(installation.plane.useCases.status.get().brakes.map(({ kind }) => kind)).toEqual(['MASS_SILENCE']);
    for (const host of installation.hosts.values()) host.wire.heal();
    await installation.advance(20_000);
    expect(installation.placements('red').map((line) => line.split(' ')[0])).toEqual(before);
    expect(installation.plane.useCases.status.get().brakes).toEqual([]);
  });

  test('hosts that died one by one, long ago, do not keep the living from taking over', async () => {
    await redOn(['h1', 'h2', 'h3', 'h4', 'h5']);
    const [first = ''] = installation.answering('red');
    const [alive = '', ...others] = ['h1', 'h2', 'h3', 'h4', 'h5'].filter((hostId) => hostId !== first);
    for (const hostId of others) {
      await installation.host(hostId).kill();
      await installation.advance(600_000);
    }
    await installation.host(first).kill();
    await installation.advance(3_000);
    expect(installation.answering('red')).toEqual([alive]);
  });

  test('a stall does not make the long dead silent together for ever', async () => {
    await redOn(['h1', 'h2', 'h3', 'h4', 'h5']);
    const [first = ''] = installation.answering('red');
    const [alive = '', ...others] = ['h1', 'h2', 'h3', 'h4', 'h5'].filter((hostId) => hostId !== first);
    for (const hostId of others) {
      await installation.host(hostId).kill();
      await installation.advance(120_000);
    }
    installation.clock.jump(8_000);
    await installation.advance(900_000);
    await installation.host(first).kill();
    await installation.advance(3_000);
    expect(installation.answering('red')).toEqual([alive]);
  });

  test('fewer hosts, and with them a shorter interval, make no living host look dead', async () => {
    installation = await Installation.start();
    for (let n = 0; n < 2_500; n++) await installation.storeHost(`dead-${n}`);
    for (const hostId of ['h1', 'h2']) await installation.addHost(hostId, ['red']);
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
    await installation.advance(40_000);
    const before = installation.placements('red');
    for (let n = 0; n < 2_500; n++) await installation.deleteHost(`dead-${n}`);
    await installation.advance(60_000);
    expect(installation.placements('red')).toEqual(before);
  });

  test('a server that stood still itself calls nobody dead', async () => {
    await redOn(['h1', 'h2', 'h3'], 2);
    const before = installation.placements('red');
    installation.clock.jump(30_000);
    await installation.advance(500);
    expect(installation.placements('red').map((line) => line.split(' ')[0])).toEqual(
      before.map((line) => line.split(' ')[0]),
    );
  });

  test('a host that died with the server is replaced once every living one must have been heard', async () => {
    await redOn(['h1', 'h2']);
    const [first = ''] = installation.answering('red');
    await installation.killServer();
    await installation.host(first).kill();
    await installation.startServer();
    expect(installation.plane.useCases.status.get().brakes.map(({ kind }) => kind)).toEqual(['START']);
    await installation.advance(20_000);
    expect(installation.plane.useCases.status.get().brakes).toEqual([]);
    expect(installation.answering('red')).toEqual([first === 'h1' ? 'h2' : 'h1']);
  });

  test('that a server has just started holds no longer than until the last host shows that it hears it', async () => {
    await redOn(['h1', 'h2', 'h3']);
    await installation.killServer();
    await installation.startServer();
    const { status } = installation.plane.useCases;
    const isUnheard = () => status.get().brakes.some(({ kind }) => kind === 'START');
    const { agents } = installation.plane;
    const hosts = ['h1', 'h2', 'h3'] as HostId[];
    const shown = () => hosts.filter((hostId) => agents.host(hostId)?.contact?.isShown).length;
    while (shown() < 3) {
      expect(isUnheard()).toBe(true);
      await installation.advance(10);
    }
    await installation.advance(100);
    expect(isUnheard()).toBe(false);
  });

  test('a host that died with the server is forgotten no sooner than it is known to be away', async () => {
    await redOn(['h1', 'h2']);
    await installation.killServer();
    await installation.host('h1').kill();
    await installation.startServer();
    await expect(installation.deleteHost('h1')).rejects.toThrow('may be on its way');
    await installation.advance(20_000);
    await expect(installation.deleteHost('h2')).rejects.toThrow('is connected');
    await installation.deleteHost('h1');
  });

  test('without a server guests are answered until the authority ends, and not a moment longer', async () => {
    await redOn(['h1']);
    await installation.killServer();
    await installation.advance(23 * 3_600_000);
    expect(installation.answers('red')).toEqual([`h1 ${ANSWER}`]);
    await installation.advance(3_600_001);
    expect(installation.answers('red')).toEqual([]);
    await installation.startServer();
    await installation.advance(20_000);
    expect(installation.answers('red')).toEqual([`h1 ${ANSWER}`]);
  });

  test('a rebooted host is silent until a session confirmed its table', async () => {
    await redOn(['h1']);
    await installation.killServer();
    await installation.host('h1').reboot();
    await installation.advance(60_000);
    expect(installation.answers('red')).toEqual([]);
    await installation.startServer();
    await installation.advance(20_000);
    expect(installation.answers('red')).toEqual([`h1 ${ANSWER}`]);
  });
});
