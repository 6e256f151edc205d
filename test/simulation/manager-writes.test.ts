// How the manager writes: most urgent first, some at a time, and what is slow or fails holds up nothing but itself.

import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import { type NetworkStore, StoreUnavailableError } from '@leasehold/server/ports/store';
import { afterEach, describe, expect, test } from 'vitest';
import { Installation } from './installation.js';

type Put = NetworkStore['put'];

const WRITTEN_AT_ONCE = 32;

describe('the manager of one server', () => {
  let installation: Installation;

  afterEach(async () => {
    await installation.stop();
  });

  const idsOf = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(3, '0')}`);

  async function networks(ids: readonly string[], dhcpServerCount: number): Promise<void> {
    for (const [n, id] of ids.entries()) {
      await installation.createNetwork(id, { dhcpServerCount });
      await installation.createSubnet(id, `${id}-a`, `10.${n >> 8}.${n & 255}.0/24`);
    }
    await installation.advance(1_000);
  }

  /** From now on writes of networks go through this. */
  function intercept(by: (put: Put, network: Network) => ReturnType<Put>): void {
    const { networks: store } = installation.plane.useCases.context.store;
    const put = store.put.bind(store);
    store.put = (network, over) => by((each) => put(each, over), network);
  }

  const wait = (ms: number) => new Promise<void>((resolve) => void installation.clock.after(ms, () => resolve()));
  const serving = (id: string) => installation.placements(id).filter((line) => line.endsWith(' serving'));
  const hostsOf = (id: string) => installation.placements(id).map((line) => line.split(' ')[0]);

  test('has only so many writes under way, and writes nothing twice', async () => {
    installation = await Installation.start({});
    const ids = idsOf('n', 200);
    await networks(ids, 2);
    const written: string[] = [];
    const answers = new Set<unknown>();
    let [underWay, most] = [0, 0];
    intercept(async (put, network) => {
      written.push(network.networkId);
      most = Math.max(most, ++underWay);
      await wait(40);
      const answer = await put(network);
      underWay--;
      answers.add(answer === 'conflict');
      return answer;
    });
    for (const hostId of ['h1', 'h2', 'h3', 'h4']) void installation.addHost(hostId, ids);
    await installation.advance(3_000);
    expect(most).toBe(WRITTEN_AT_ONCE);
    expect(answers).toEqual(new Set([false]));
    for (const id of ids) expect(hostsOf(id)).toHaveLength(2);
    // The first host may have been there alone for a moment.
    expect(written.length).toBeLessThanOrEqual(2 * ids.length);
    const load = (hostId: string) => ids.filter((id) => hostsOf(id).includes(hostId)).length;
    expect(['h1', 'h2', 'h3', 'h4'].map(load)).toEqual([100, 100, 100, 100]);
  });

  test('goes on with all others while the write of one network takes long', async () => {
    installation = await Installation.start({ h1: ['red', 'blue'], h2: ['red', 'blue'], h3: ['red', 'blue'] });
    await networks(['red', 'blue'], 1);
    const [first = ''] = hostsOf('red');
    let writes = 0;
    intercept(async (put, network) => {
      if (network.networkId === 'red') {
        writes++;
        await wait(20_000);
      }
      return put(network);
    });
    await installation.updateHost(first, { maintenance: true });
    await installation.advance(1_000);
    const [second = ''] = hostsOf('blue');
    await installation.host(second).kill();
    await installation.advance(5_000);
    const [third] = hostsOf('blue').filter((hostId) => hostId !== second);
    expect(serving('blue')).toEqual([`${third} serving`]);
    expect(hostsOf('red')).toEqual([first]);
    expect(writes).toBe(1);
    await installation.advance(20_000);
    expect(serving('red')).toEqual([`${third} serving`]);
  });

  test.each([
    ['disabled', () => installation.updateNetwork('red', { ipamEnabled: false }), []],
    [
      'made again',
      async () => {
        await installation.tryDeleteSubnet('red-a');
        await installation.tryDeleteNetwork('red');
        await installation.advance(500);
        await networks(['red'], 1);
      },
      ['serving'],
    ],
  ] as const)('does not wait for a write that can only meet a network that was %s', async (_, change, expected) => {
    installation = await Installation.start({ h1: ['red'], h2: ['red'] });
    await networks(['red'], 1);
    const [first = ''] = hostsOf('red');
    let writes = 0;
    intercept(async (put, network) => {
      if (network.formerServers.length > 0 && writes++ === 0) await wait(20_000);
      return put(network);
    });
    await installation.updateHost(first, { maintenance: true });
    await installation.advance(200);
    expect([hostsOf('red'), writes]).toEqual([[first], 1]);
    await change();
    await installation.advance(2_000);
    const states = () => installation.placements('red').map((line) => line.split(' ')[1]);
    expect(states()).toEqual(expected);
    expect(hostsOf('red')).not.toContain(first);
    // Nor does it matter any more when it is over.
    await installation.advance(20_000);
    expect(states()).toEqual(expected);
  });

  test('repeats a write that failed soon, and tells hosts what others of its networks need meanwhile', async () => {
    installation = await Installation.start({ h1: ['red', 'blue'] });
    await networks(['blue', 'red'], 1);
    await installation.addHost('h2', ['red', 'blue']);
    await installation.advance(3_000);
    let failures = 3;
    intercept((put, network) => {
      if (network.networkId === 'blue' && failures-- > 0) return Promise.reject(new StoreUnavailableError('away'));
      return put(network);
    });
    await installation.updateHost('h1', { maintenance: true });
    await installation.advance(100);
    expect(serving('red')).toEqual(['h2 serving']);
    await installation.advance(1_900);
    expect(serving('blue')).toEqual(['h2 serving']);
    const failed = installation.log.lines.filter(({ message }) => message === 'network cannot be written yet');
    expect(failed.map(({ level }) => level)).toEqual(['warn', 'warn', 'warn']);
  });

  test('lets only one host lose placements in a minute, in however many runs they are written', async () => {
    installation = await Installation.start({});
    const ids = idsOf('n', 100);
    for (const hostId of ['h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'h7', 'h8']) await installation.addHost(hostId, ids);
    await networks(ids, 2);
    const before = new Map(ids.map((id) => [id, new Set(hostsOf(id))]));
    intercept(async (put, network) => {
      await wait(1_500);
      return put(network);
    });
    for (const hostId of ['h1', 'h2']) await installation.host(hostId).kill();
    await installation.advance(30_000);
    const lost = new Set(
      ids.flatMap((id) => {
        const servers = before.get(id) ?? new Set();
        // One without any live server is helped at once, outside of that.
        if (servers.has('h1') && servers.has('h2')) return [];
        const { placements = [] } = installation.disk.networks.get(id as NetworkId) ?? {};
        return [...servers].filter((hostId) => placements.every((each) => each.hostId !== hostId));
      }),
    );
    expect(lost.size).toBe(1);
  });
});
