import { formatIpv4, type Ipv4, type Parsed } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { MemoryLog } from '../../../../test/fakes/memory-log.js';
import { assignmentOf } from '../../../../test/fakes/scripted-server.js';
import { VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import { NetworkTable } from '../../domain/table.js';
import type { Link } from '../dhcp-backend.js';
import type { PutAddress } from '../host/service-addresses.js';
import { BuiltinBackend } from './builtin-backend.js';

const BR0: Link = { name: 'br0', index: 2 };
const BR1: Link = { name: 'br1', index: 3 };
/** That of `assignmentOf`. */
const OURS = 0xa9fe0101 as Ipv4;
const STALE = 0xa9fe0909 as Ipv4;

function makeHost(...there: PutAddress[]) {
  const log = new MemoryLog();
  const steps: string[] = [];
  let listed: Parsed<readonly PutAddress[]> = { ok: true, value: there };
  let removing: Promise<void> | undefined;
  const step = (what: string, link: Link, address: Ipv4) => steps.push(`${what} ${formatIpv4(address)} ${link.name}`);
  const serviceAddresses = {
    async put(link: Link, address: Ipv4): Promise<Parsed<void>> {
      step('put', link, address);
      return { ok: true, value: undefined };
    },
    async remove(link: Link, address: Ipv4): Promise<void> {
      await removing;
      step('remove', link, address);
    },
    isPresent: () => false,
    list: async () => listed,
  };
  const sockets = { open: async () => ({ ok: false, problem: 'No sockets here' }) as const };
  const backend = new BuiltinBackend({ clock: new VirtualClock(), log, sockets, serviceAddresses });
  const failList = () => {
    listed = { ok: false, problem: 'Program ip of iproute2 is not installed' };
  };
  const holdRemoval = (until: Promise<void>) => {
    removing = until;
  };
  return { backend, log, steps, failList, holdRemoval };
}

test('what no table claims is taken from the interfaces that are named, and from no other', async () => {
  const { backend, steps } = makeHost(
    { link: BR0, address: STALE },
    { link: BR0, address: OURS },
    { link: BR1, address: STALE },
  );
  await backend.tidy([BR0], (_, address) => address === OURS);
  expect(steps).toEqual(['remove 169.254.9.9 br0']);
});

test('an address that is claimed while others are taken away stays', async () => {
  const { backend, steps } = makeHost({ link: BR0, address: STALE }, { link: BR0, address: OURS });
  await backend.tidy([BR0], () => steps.length > 0);
  expect(steps).toEqual(['remove 169.254.9.9 br0']);
});

test('an address that is being taken away is put again afterwards', async () => {
  const { backend, steps, holdRemoval } = makeHost({ link: BR0, address: OURS });
  let release = () => {};
  holdRemoval(
    new Promise((resolve) => {
      release = resolve;
    }),
  );
  const tidied = backend.tidy([BR0], () => false);
  const table = new NetworkTable();
  table.assign(assignmentOf('u1'));
  const server = backend.open('red', table, {
    standing: () => 'synchronised',
    untilMs: () => Number.POSITIVE_INFINITY,
  });
  server.attach(BR0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(steps).toEqual([]);
  release();
  await tidied;
  await server.flush();
  expect(steps.slice(0, 2)).toEqual(['remove 169.254.1.1 br0', 'put 169.254.1.1 br0']);
  await server.close();
});

test('a host that cannot tell its addresses is served all the same', async () => {
  const { backend, log, steps, failList } = makeHost();
  failList();
  await backend.tidy([BR0], () => false);
  expect(log.complaints()).toEqual(['Service addresses of an earlier run are not looked for']);
  expect(steps).toEqual([]);
});
