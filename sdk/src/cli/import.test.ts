import { describe, expect, test } from 'vitest';
import { EVERYTHING, FILES, withServer } from '../test-support/cli.js';
import { wireNetwork, wireReservation, wireSubnet } from '../test-support/samples.js';
import { type Handlers, refuse, statusOf } from '../test-support/scripted-server.js';

const OTHER = { ...wireSubnet, subnetId: 'blue-a', networkId: 'blue', usage: { capacity: 500n, free: 500n } };
const TAKEN = { ...wireReservation, address: '10.0.0.8', mac: '52:54:00:00:00:08', reservationId: 'r-8' };
const RESTING = {
  ...wireReservation,
  ...{ address: '10.0.0.9', mac: '52:54:00:00:00:09', state: 2 as const, reservationId: 'r-9' },
};
const FULL = {
  ...wireSubnet,
  ...{ subnetId: 'red-full', cidr: '10.3.0.0/30', usage: { capacity: 1n, reserved: 1n, quarantined: 0n, free: 0n } },
  ...{ gateway: undefined, allocationRanges: [], excludedRanges: [] },
};

const SERVER = {
  ...EVERYTHING,
  listNetworks: () => ({
    networks: [
      wireNetwork,
      { ...wireNetwork, networkId: 'blue' },
      { ...wireNetwork, networkId: 'empty' },
      { ...wireNetwork, networkId: 'off', ipamEnabled: false },
    ],
  }),
  listSubnets: () => ({
    subnets: [wireSubnet, OTHER, FULL, { ...FULL, subnetId: 'off-a', networkId: 'off', cidr: '10.4.0.0/24' }],
  }),
  listReservations: ({ networkId }) => ({ reservations: networkId === 'red' ? [wireReservation, TAKEN, RESTING] : [] }),
  batchReserveAddresses: ({ requests }) => ({
    results: requests.map(({ mac, address, subnetId }) => ({
      result: {
        $case: 'response' as const,
        value: { reservation: { ...wireReservation, mac, address: address || '10.0.0.77', subnetId }, created: true },
      },
    })),
  }),
} satisfies Handlers;

async function importing(csv: string, flags = '', handlers: Handlers = SERVER) {
  const server = await withServer(handlers);
  FILES['test.csv'] = csv;
  const result = await server.run(`reservation import test.csv${flags && ` ${flags}`}`);
  const requests = server.requests('batchReserveAddresses');
  await server[Symbol.asyncDispose]();
  return { ...result, requests };
}

describe('an import', () => {
  test('reserves what is not there yet, with the words of the file and those of the flags', async () => {
    const csv =
      'mac,address,owner,hostname,label.tier\n52:54:00:00:00:01,10.0.0.10,vm-1,web,prod\n52:54:00:00:00:02,,,,\n52:54:00:aa:bb:cc,10.0.0.7,,,\n';
    const { code, stdout, stderr, requests } = await importing(csv, '--subnet red-a --owner import');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^note +line 4 +is there already with another owner, which stays.*\n2 reserved, 1 were there already\n$/,
    );
    expect(requests.flatMap((request) => request.requests)).toMatchObject([
      {
        subnetId: 'red-a',
        mac: '52:54:00:00:00:01',
        address: '10.0.0.10',
        owner: 'vm-1',
        hostname: 'web',
        labels: { tier: 'prod' },
      },
      { subnetId: 'red-a', mac: '52:54:00:00:00:02', address: '', owner: 'import', hostname: '', labels: {} },
    ]);
  });

  test('as a dry run writes nothing and lists what would be done', async () => {
    const csv = 'mac,address\n52:54:00:00:00:01,10.0.0.10\n52:54:00:aa:bb:cc,10.0.0.7\n52:54:00:00:00:09,10.0.0.9\n';
    const { code, stdout, requests } = await importing(csv, '--network red --dry-run');
    expect({ code, requests }).toEqual({ code: 0, requests: [] });
    expect(stdout).toBe(
      [
        'ok  line 2  10.0.0.10 of subnet red-a for 52:54:00:00:00:01 would be reserved',
        'ok  line 3  10.0.0.7 of subnet red-a for 52:54:00:aa:bb:cc is there already',
        // Its own address, resting: it gets it back.
        'ok  line 4  10.0.0.9 of subnet red-a for 52:54:00:00:00:09 would be reserved',
        '2 would be reserved, 1 are there already',
        '',
      ].join('\n'),
    );
  });

  test.each<[string, string, string]>([
    ['52:54:00:00:00:01,10.0.0.8,,red', 'line 2', '10.0.0.8 is reserved for 52:54:00:00:00:08 (vm-42/nic0)'],
    ['52:54:00:00:00:01,10.0.0.9,,red', 'line 2', '10.0.0.9 rests after 52:54:00:00:00:09 released it'],
    ['52:54:00:aa:bb:cc,10.0.0.10,,red', 'line 2', '52:54:00:aa:bb:cc holds 10.0.0.7 of subnet red-a already'],
    ['52:54:00:00:00:01,10.9.0.1,,red', 'line 2', 'no subnet of network red holds 10.9.0.1'],
    ['52:54:00:00:00:01,10.9.0.1,red-a,', 'line 2', '10.9.0.1 is not in subnet red-a (10.0.0.0/24)'],
    ['52:54:00:00:00:01,10.0.0.0,,red', 'line 2', '10.0.0.0 is the network address of subnet red-a'],
    ['52:54:00:00:00:01,10.0.0.255,,red', 'line 2', '10.0.0.255 is the broadcast address of subnet red-a'],
    ['52:54:00:00:00:01,10.0.0.1,,red', 'line 2', '10.0.0.1 is the gateway of subnet red-a'],
    ['52:54:00:00:00:01,10.0.0.50,,red', 'line 2', '10.0.0.50 is excluded in subnet red-a'],
    ['52:54:00:00:00:01,10.0.0.10,,', 'line 2', 'several subnets hold 10.0.0.10: red-a, blue-a'],
    ['52:54:00:00:00:01,10.8.0.10,,', 'line 2', 'no subnet holds 10.8.0.10'],
    ['52:54:00:00:00:01,,,', 'line 2', 'says neither address nor subnet nor network'],
    ['52:54:00:00:00:01,,no-a,', 'line 2', 'there is no subnet no-a'],
    ['52:54:00:00:00:01,,,no', 'line 2', 'there is no network no'],
    ['52:54:00:00:00:01,,blue-a,red', 'line 2', 'subnet blue-a is not of network red, but of blue'],
    ['52:54:00:00:00:01,,off-a,', 'line 2', 'IPAM is disabled on network off'],
    ['52:54:00:00:00:01,,red-full,', 'subnet red-full', 'has 0 free addresses, the file wants 1'],
    ['52:54:00:00:00:01,,,empty', 'network empty', 'has 0 free addresses, the file wants 1'],
    ['52:54:00:00:00:01,,,red\n52:54:00:00:00:01,,,red', 'line 3', '52:54:00:00:00:01 stands in line 2 already'],
    [
      '52:54:00:00:00:01,10.0.0.10,,red\n52:54:00:00:00:02,10.0.0.10,,red',
      'line 3',
      '10.0.0.10 stands in line 2 already',
    ],
  ])('of %j is refused whole', async (row, about, what) => {
    const csv = `mac,address,subnet,network\n${row}\n52:54:00:00:00:77,10.0.0.77,,red\n`;
    const { code, stdout, requests } = await importing(csv, '-o json');
    expect({ code, requests }).toEqual({ code: 1, requests: [] });
    const { findings, verdict } = JSON.parse(stdout) as { verdict: string; findings: readonly object[] };
    expect(verdict).toBe('problem');
    expect(findings).toMatchObject([{ severity: 'problem', about: [about], what }]);
  });

  test('writes named addresses first and what any subnet will do for last, so that no line gets what another one names', async () => {
    const rows = ['01,,,red', '02,,red-a,', '03,10.0.0.10,,red', '04,,,red', '05,10.0.0.11,,red'];
    const csv = `mac,address,subnet,network\n${rows.map((row) => `52:54:00:00:00:${row}\n`).join('')}`;
    const { code, requests } = await importing(csv);
    expect(code).toBe(0);
    const macs = requests.map((request) => request.requests.map(({ mac }) => mac.slice(-2)));
    expect(macs).toEqual([['03', '05'], ['02'], ['01', '04']]);
  });

  test.each<[string, readonly string[], string]>([
    [
      'for the addresses that it names',
      ['.10', '.11', '.12', ',red-a'],
      '0 free addresses besides the 3 that other lines take, the file wants 1',
    ],
    [
      'in a network for those of its subnets',
      [',red-a', ',red-a', ',', ','],
      '1 free addresses besides the 2 that other lines take, the file wants 2',
    ],
    [
      'beside what rests, or is outside of the ranges',
      ['.9', '.200', ',', ',', ',', ','],
      '3 free addresses, the file wants 4',
    ],
  ])('without room %s is refused whole', async (_, rows, what) => {
    const handlers = {
      ...SERVER,
      listSubnets: () => ({ subnets: [{ ...wireSubnet, usage: { ...wireSubnet.usage, free: 3n } }] }),
    };
    const lines = rows.map((row, n) => {
      // Of the MAC that had it, what rests is taken again.
      const mac = row === '.9' ? '09' : `a${n}`;
      return `52:54:00:00:00:${mac},${row.startsWith(',') ? row : `10.0.0${row},`},red`;
    });
    const csv = `mac,address,subnet,network\n${lines.join('\n')}\n`;
    const { code, stdout, requests } = await importing(csv, '-o json', handlers);
    expect({ code, requests }).toEqual({ code: 1, requests: [] });
    expect(JSON.parse(stdout)).toMatchObject({ findings: [{ what: `has ${what}` }] });
    expect((await importing(csv.replace(/[^\n]+\n$/, ''), '', handlers)).code).toBe(0);
  });

  test('one MAC may be in two networks', async () => {
    const csv = 'mac,network\n52:54:00:00:00:01,red\n52:54:00:00:00:01,blue\n';
    expect((await importing(csv)).stdout).toBe('2 reserved, 0 were there already\n');
  });

  test('with mistakes of all kinds tells them in the order of the lines, and writes nothing', async () => {
    const csv = 'mac,address\nx,10.0.0.10\n52:54:00:00:00:01,10.0.0.8\n52:54:00:00:00:02,10.0.0.300\n';
    const { code, stdout, requests } = await importing(csv, '--network red');
    expect({ code, requests }).toEqual({ code: 1, requests: [] });
    expect(stdout.match(/line \d/g)).toEqual(['line 2', 'line 3', 'line 4']);
    expect(stdout).toMatch(/\nNothing was written\n$/);
  });

  test('in which the server refuses one says which, keeps the others and is exit 1', async () => {
    const taken = statusOf(refuse('ALREADY_EXISTS', { reason: 'ADDRESS_RESERVED', message: 'Somebody was faster' }));
    const handlers = {
      ...SERVER,
      batchReserveAddresses: (request) => {
        const rest = SERVER.batchReserveAddresses(request).results.slice(1);
        return { results: [{ result: { $case: 'status' as const, value: taken } }, ...rest] };
      },
    } satisfies Handlers;
    const csv = 'mac,address\n52:54:00:00:00:01,10.0.0.10\n52:54:00:00:00:02,10.0.0.11\n';
    const { code, stdout } = await importing(csv, '--network red', handlers);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^problem {2}line 2 {2}Somebody was faster \(ADDRESS_RESERVED\)\n/);
    expect(stdout).toMatch(/\n1 reserved, 0 were there already, 1 are not reserved\n$/);
  });

  test('that loses its server says how far it came, and is exit 3', async () => {
    const macs = Array.from({ length: 300 }, (_, n) => `5254.0000.${n.toString(16).padStart(4, '0')},blue`);
    const handlers = {
      ...SERVER,
      batchReserveAddresses: (request, attempt) =>
        attempt === 1 ? SERVER.batchReserveAddresses(request) : refuse('UNAVAILABLE', { message: 'gone' }),
    } satisfies Handlers;
    const { code, stdout } = await importing(`mac,network\n${macs.join('\n')}\n`, '', handlers);
    expect(code).toBe(3);
    expect(stdout).toContain('after 200 were reserved');
    expect(stdout).toContain('Import again: what is there already is passed over');
  });

  test('says on stderr how far it is: at a terminal in place, in a pipe when asked', async () => {
    FILES['test.csv'] = 'mac\n52:54:00:00:00:01\n';
    await using server = await withServer(SERVER);
    const line = 'reservation import test.csv --network red';
    expect((await server.runAtTerminal(line)).stderr).toBe('\r\u001b[K1 of 1 reserved\r\u001b[K');
    expect((await server.run(`${line} --progress`)).stderr).toBe('leasehold: 1 of 1 reserved\n');
    expect((await server.runAtTerminal(`${line} --no-progress`)).stderr).toBe('');
  });

  test('has a JSON of every line', async () => {
    const csv = 'mac,address\n52:54:00:00:00:01,\n52:54:00:aa:bb:cc,10.0.0.7\n';
    expect(JSON.parse((await importing(csv, '--subnet red-a -o json')).stdout)).toEqual({
      ...{ verdict: 'ok', dry_run: false, reserved: 1, present: 1, to_reserve: 0, findings: [] },
      entries: [
        { line: 2, mac: '52:54:00:00:00:01', address: '10.0.0.77', subnet_id: 'red-a', result: 'reserved' },
        { line: 3, mac: '52:54:00:aa:bb:cc', address: '10.0.0.7', subnet_id: 'red-a', result: 'present' },
      ],
    });
  });

  test('is bad usage without a format or a file, or with an owner that no reservation may have', async () => {
    await using server = await withServer(SERVER);
    expect((await server.run('reservation import hosts')).stderr).toContain('--format is missing');
    FILES['test.csv'] = 'mac\n52:54:00:00:00:01\n';
    const long = await server.run(`reservation import test.csv --network red --owner ${'x'.repeat(256)}`);
    expect(long).toMatchObject({ code: 2 });
    expect(long.stderr).toContain('--owner: Longer than 255 characters');
    const { code, stderr } = await server.run('reservation import nowhere.csv');
    expect(code).toBe(2);
    expect(stderr).toContain('nowhere.csv cannot be read: ENOENT');
  });
});

describe('releasing many', () => {
  test('gives back exactly the tenures that it found', async () => {
    await using server = await withServer(EVERYTHING);
    const { code, stdout } = await server.run('reservation release --owner vm-42/nic0 --guest-stopped');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '1 released\n' });
    expect(server.requests('listReservations')).toMatchObject([{ owner: 'vm-42/nic0', state: 1 }]);
    expect(server.requests('batchReleaseAddresses')[0]?.requests).toMatchObject([
      { key: { key: { $case: 'reservationId', value: 'r-1' } }, guestStopped: true },
    ]);
  });

  test('as a dry run is a table of them', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run('reservation release --subnet red-a --dry-run')).stdout).toMatch(
      /^ADDRESS .*\n10\.0\.0\.7 /,
    );
    expect(server.requests('batchReleaseAddresses')).toEqual([]);
  });

  test('needs a filter: an empty one is none', async () => {
    await using server = await withServer(EVERYTHING);
    for (const line of [
      ['reservation', 'release'],
      ['reservation', 'release', '--owner', ''],
    ]) {
      expect((await server.run(line)).code).toBe(2);
    }
    expect(server.calls()).toEqual([]);
  });

  test('tells which were refused', async () => {
    const status = statusOf(refuse('NOT_FOUND', { reason: 'RESERVATION_NOT_FOUND', message: 'Not there' }));
    const handlers = {
      ...EVERYTHING,
      batchReleaseAddresses: () => ({ results: [{ result: { $case: 'status' as const, value: status } }] }),
    };
    await using server = await withServer(handlers);
    const { code, stdout } = await server.run('reservation release --network red');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^problem {2}10\.0\.0\.7 of red-a {2}Not there \(RESERVATION_NOT_FOUND\)\n.*\n0 released, 1 are not\n$/,
    );
  });
});
