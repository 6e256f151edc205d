import type { Ipv4 } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import type { NetworkId } from '../domain/ids.js';
import { countForeignServers } from './foreign-servers.js';

const [RED, BLUE, GREEN] = ['red', 'blue', 'green'] as [NetworkId, NetworkId, NetworkId];

interface Seen {
  readonly liveness: string;
  /** By network, the last bytes of the addresses that it noticed; absent: it was not heard. */
  readonly noticed?: readonly (readonly [NetworkId, readonly number[]])[];
}

function counted(isSelf: boolean, hosts: readonly Seen[]): readonly (readonly [NetworkId, number])[] {
  const stored = { attachments: [{ networkId: GREEN, interface: 'br-green' }] };
  const view = { hosts: new Map(hosts.map((seen, n) => [`h${n}`, { ...stored, seen }])) };
  const servers = (bytes: readonly number[]) => bytes.map((byte) => ({ address: (0x0a000000 + byte) as Ipv4 }));
  const lookAt = ({ seen: { liveness, noticed } }: { readonly seen: Seen }) => {
    const attachments = new Map(noticed?.map(([id, bytes]) => [id, { foreignServers: servers(bytes) }]));
    return { liveness, observed: noticed && { attachments } };
  };
  return [...countForeignServers({ view, lease: { isSelf } } as never, { lookAt } as never)];
}

test('counts each server once by network, and none where hosts have a network and noticed none', () => {
  const hosts: readonly Seen[] = [
    {
      liveness: 'up',
      noticed: [
        [RED, [1, 2]],
        [BLUE, []],
      ],
    },
    { liveness: 'up', noticed: [[RED, [2, 3]]] },
    { liveness: 'suspect' },
  ];
  expect(counted(true, hosts)).toEqual([
    [RED, 3],
    [BLUE, 0],
    [GREEN, 0],
  ]);
});

test('does not go by what a dead host noticed, nor says anything where another server leads', () => {
  const hosts: readonly Seen[] = [
    { liveness: 'down', noticed: [[RED, [1]]] },
    { liveness: 'up', noticed: [] },
  ];
  expect(counted(true, hosts)).toEqual([]);
  expect(counted(false, [{ liveness: 'up', noticed: [[RED, [1]]] }])).toEqual([]);
});

test('a host that was not heard does not hide what others noticed', () => {
  expect(counted(true, [{ liveness: 'up', noticed: [[GREEN, [1]]] }, { liveness: 'up' }])).toEqual([[GREEN, 1]]);
});
