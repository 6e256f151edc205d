import { describe, expect, test } from 'vitest';
import { fakeRuntime } from '../testing/fake-runtime.js';
import { type FakeServer, type Handlers, refuse, startFakeServer } from '../testing/fake-server.js';
import { wireHost, wireNetwork, wirePlacement, wireReservation, wireStatus, wireSubnet } from '../testing/samples.js';
import { COMMANDS } from './commands.js';
import { run } from './run.js';

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function leasehold(line: readonly string[] | string, env: Record<string, string> = {}): Promise<Result> {
  let stdout = '';
  let stderr = '';
  const io = {
    runtime: fakeRuntime(env),
    version: '1.2.3',
    stdout: (text: string) => {
      stdout += text;
    },
    stderr: (text: string) => {
      stderr += text;
    },
  };
  const code = await run(typeof line === 'string' ? line.split(' ') : line, io);
  return { code, stdout, stderr };
}

async function withServer(handlers: Handlers) {
  const fake = await startFakeServer(handlers);
  const env = { LEASEHOLD_SERVER: fake.server };
  return {
    requests: fake.requests.bind(fake) as FakeServer['requests'],
    run: (line: readonly string[] | string, more: Record<string, string> = {}) => leasehold(line, { ...env, ...more }),
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

const EVERYTHING: Handlers = {
  createNetwork: () => ({ network: wireNetwork }),
  getNetwork: () => ({ network: wireNetwork }),
  listNetworks: () => ({ networks: [wireNetwork] }),
  updateNetwork: () => ({ network: wireNetwork }),
  deleteNetwork: () => ({}),
  createSubnet: () => ({ subnet: wireSubnet }),
  getSubnet: () => ({ subnet: wireSubnet }),
  listSubnets: () => ({ subnets: [wireSubnet, { ...wireSubnet, subnetId: 'b', gateway: undefined }] }),
  updateSubnet: () => ({ subnet: wireSubnet }),
  deleteSubnet: () => ({}),
  reserveAddress: () => ({ reservation: wireReservation, created: true, ready: true, readyServers: 2 }),
  releaseAddress: () => ({ reservation: { ...wireReservation, state: 2 } }),
  getReservation: () => ({ reservation: wireReservation }),
  listReservations: () => ({ reservations: [wireReservation] }),
  getHost: () => ({ host: wireHost }),
  listHosts: () => ({ hosts: [wireHost] }),
  updateHost: () => ({ host: wireHost }),
  deleteHost: () => ({}),
  listPlacements: () => ({ placements: [wirePlacement] }),
  getStatus: () => wireStatus,
};

/** Splits an example as a shell would. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

describe('every command', () => {
  test('has examples that work as they stand', async () => {
    await using server = await withServer(EVERYTHING);
    for (const example of COMMANDS.flatMap(({ examples }) => examples)) {
      const words = shellWords(example.replace(' --server unix:/run/leasehold.sock', ''));
      expect({ example, ...(await server.run(words)), stdout: '' }).toEqual({
        example,
        code: 0,
        stdout: '',
        stderr: '',
      });
    }
  });

  test('has help with its usage, flags with units and variables, and examples', async () => {
    for (const command of COMMANDS) {
      const { code, stdout } = await leasehold([...command.path, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: leasehold ${command.path.join(' ')}`);
      expect(stdout).toContain(`  leasehold ${command.examples[0]}`);
      expect(stdout).toContain('--timeout DURATION');
    }
    const reserve = await leasehold('help reserve');
    expect(reserve.stdout).toContain('Usage: leasehold reserve [SUBNET] MAC [FLAGS]');
    expect(reserve.stdout).toMatch(
      /--ready-timeout DURATION +How long to wait for them, up to 60s, default 5s \[LEASEHOLD_READY_TIMEOUT\]/,
    );
  });
});

describe('help and version', () => {
  test('the whole and each noun have help', async () => {
    const all = await leasehold('--help');
    expect(all.code).toBe(0);
    for (const { path, summary } of COMMANDS) {
      expect(all.stdout).toContain(path.join(' '));
      expect(all.stdout).toContain(summary);
    }
    expect(all.stdout).toMatch(/3 {2}no connection/);
    const network = await leasehold('network --help');
    expect(network.stdout).toContain('network create [NETWORK]');
    expect(network.stdout).not.toContain('subnet create');
  });

  test('--version prints it, whatever else is said', async () => {
    expect(await leasehold('--version')).toEqual({ code: 0, stdout: 'leasehold 1.2.3\n', stderr: '' });
    expect((await leasehold('network list --version')).stdout).toBe('leasehold 1.2.3\n');
  });
});

describe('bad usage is exit 2 and names the right word', () => {
  test.each([
    ['--sever x status', 'unknown flag --sever, did you mean --server?'],
    ['network list --sever=x', 'unknown flag --sever, did you mean --server?'],
    ['reserve a m --adress 10.0.0.7', 'unknown flag --adress, did you mean --address?'],
    ['status -x', 'unknown flag -x'],
    ['netwrok list', 'unknown command "netwrok", did you mean network?'],
    ['network lst', 'unknown command "lst" after network, did you mean list?'],
    ['frobnicate', 'unknown command "frobnicate"'],
    ['network', 'leasehold network needs a command'],
    ['network get', 'NETWORK is missing'],
    ['reserve red-a', 'SUBNET is missing'],
    ['reserve', 'MAC is missing'],
    ['network get a b', 'unexpected argument "b"'],
    ['subnet create a --cidr 10.0.0.0/24', '--network is missing'],
    ['subnet create a --network red', '--cidr is missing'],
    ['reservation get', 'name it by id, by --subnet and --address, or by --network and --mac'],
    ['reservation get id --network red --mac m', 'name it by id, by --subnet and --address, or by --network and --mac'],
    ['status --timeout', '--timeout needs DURATION'],
    ['status --server --timeout 1s', '--server needs SERVER'],
    ['status --timeout 10', '--timeout: expected a duration like 500ms, 30s, 5m, 1h or 7d, not "10"'],
    ['status --timeout 2d', '--timeout: expected at most 1d, not "2d"'],
    ['status -o xml', '--output: expected table, json, yaml, not "xml"'],
    [
      'network update red --dhcp-server-count 17',
      '--dhcp-server-count: expected a whole number from 0 to 16, not "17"',
    ],
    ['network update red --label team', '--label: expected KEY=VALUE, not "team"'],
    ['host update h1 --managed=maybe', '--managed: expected true or false, not "maybe"'],
    ['status --server nowhere', '"nowhere" is not a server like 127.0.0.1:7067 or unix:/run/leasehold.sock'],
  ])('%s', async (line, problem) => {
    const { code, stdout, stderr } = await leasehold(line);
    expect(stderr.split('\n')[0]).toBe(`leasehold: ${problem}`);
    expect(stderr).toMatch(/\nSee 'leasehold.* --help'\n$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  test('a wrong variable is named', async () => {
    const { code, stderr } = await leasehold('status', { LEASEHOLD_TIMEOUT: 'soon' });
    expect(code).toBe(2);
    expect(stderr).toContain('LEASEHOLD_TIMEOUT: expected a duration');
  });

  test('as JSON when JSON was asked for', async () => {
    const { code, stderr } = await leasehold('network list -o json --sever x');
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'INVALID_ARGUMENT',
        reason: 'BAD_USAGE',
        message: 'unknown flag --sever, did you mean --server?',
      },
    });
  });

  test('plaintext to another machine needs its flag', async () => {
    const { code, stderr } = await leasehold('status --server 192.0.2.1:7067');
    expect(code).toBe(2);
    expect(stderr).toContain('allow it with --insecure-network');
  });
});

describe('failures', () => {
  test('a refusal is exit 1: one line, and one for each field', async () => {
    const violations = [{ field: 'subnet.cidr', description: 'Has host bits' }];
    const refusal = refuse('INVALID_ARGUMENT', { reason: 'INVALID_FIELD', message: 'No such CIDR', violations });
    await using server = await withServer({ createSubnet: () => refusal });
    const line = 'subnet create a --network red --cidr 10.0.0.1/24';
    expect(await server.run(line)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'leasehold: No such CIDR (INVALID_FIELD)\n  subnet.cidr: Has host bits\n',
    });
    const asJson = await server.run(`${line} -o json`);
    expect(asJson).toMatchObject({ code: 1, stdout: '' });
    expect(JSON.parse(asJson.stderr)).toEqual({
      error: {
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_FIELD',
        message: 'No such CIDR',
        metadata: {},
        field_violations: [{ field: 'subnet.cidr', description: 'Has host bits' }],
        retryable: false,
      },
    });
  });

  test('a store that is away is a refusal, with the pause it asks for', async () => {
    const refusal = refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE', pushback: '60000' });
    await using server = await withServer({ getStatus: () => refusal });
    const { code, stderr } = await server.run('status -o json');
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ error: { reason: 'STORE_UNAVAILABLE', retry_after: '60s' } });
  });

  test('nobody there is exit 3', async () => {
    expect(await leasehold('status --server 127.0.0.1:1')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'leasehold: No connection to 127.0.0.1:1 (ECONNREFUSED) (NO_CONNECTION)\n',
    });
  });

  test('no answer in time is exit 3', async () => {
    await using server = await withServer({ getStatus: () => 'never' });
    const { code, stderr } = await server.run('status --timeout 40ms');
    expect(code).toBe(3);
    expect(stderr).toMatch(/^leasehold: GetStatus got no answer from .* within 40 ms \(DEADLINE_EXCEEDED\)\n$/);
  });
});

describe('output', () => {
  test('a list is an aligned table for people', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run('subnet list')).stdout).toBe(
      [
        'SUBNET  NETWORK  CIDR         GATEWAY   RESERVED  QUARANTINED  FREE',
        'red-a   red      10.0.0.0/24  10.0.0.1  3         2            84',
        'b       red      10.0.0.0/24  -         3         2            84',
        '',
      ].join('\n'),
    );
    expect((await server.run('network list')).stdout).toContain(
      'red      enabled  1        1/2      2026-01-02T12:00:00Z',
    );
  });

  test('one resource is a row per field', async () => {
    await using server = await withServer(EVERYTHING);
    const { stdout } = await server.run('network get red');
    expect(stdout).toMatch(/^network_id +red$/m);
    expect(stdout).toMatch(/^labels +teamName=a$/m);
    expect(stdout).toMatch(/^status\.servers_wanted +2$/m);
    const host = await server.run('host get h1');
    expect(host.stdout).toMatch(/^attachments +network_id=red interface=br0 ready=true$/m);
    expect(host.stdout).toMatch(/^liveness +up$/m);
  });

  test('JSON has the names of the API, ISO times, spans in seconds and enum values with their prefix', async () => {
    await using server = await withServer(EVERYTHING);
    const subnet = JSON.parse((await server.run('subnet get red-a -o json')).stdout);
    expect(subnet).toMatchObject({
      subnet_id: 'red-a',
      dns_servers: ['10.0.0.2', '10.0.0.3'],
      routes: [{ destination: '192.168.0.0/16', next_hop: '10.0.0.9' }],
      lease_time: '3600s',
      reuse_delay: '60.5s',
      usage: { capacity: 89, reserved: 3, quarantined: 2, free: 84 },
      create_time: '2026-01-02T12:00:00.000Z',
    });
    const network = JSON.parse((await server.run('network get red -ojson')).stdout);
    expect(network.labels).toEqual({ teamName: 'a' });
    const reservations = JSON.parse((await server.run('reservation list --output=json')).stdout);
    expect(reservations).toMatchObject([{ address: '10.0.0.7', state: 'RESERVATION_STATE_RESERVED' }]);
    const [host] = JSON.parse((await server.run('host list', { LEASEHOLD_OUTPUT: 'json' })).stdout);
    expect(host).toMatchObject({ liveness: 'HOST_LIVENESS_UP', breaker: 'BREAKER_STATE_HALF_OPEN' });
    const status = JSON.parse((await server.run('status -o json')).stdout);
    expect(status).toMatchObject({ authority: '86400s', store: { breaker: 'BREAKER_STATE_UNSPECIFIED' } });
    expect(JSON.parse((await server.run('network delete red -o json')).stdout)).toEqual({});
  });

  test('YAML quotes what it would read as something else', async () => {
    await using server = await withServer(EVERYTHING);
    const { stdout } = await server.run('reservation get --network red --mac m -o yaml');
    expect(stdout).toContain('reservation_id: r-1\n');
    expect(stdout).toContain('address: "10.0.0.7"\n');
    expect(stdout).toContain('mac: "52:54:00:aa:bb:cc"\n');
    expect(stdout).toContain('owner: vm-42/nic0\n');
    expect(stdout).toContain('labels: {}\noptions: []\n');
    expect((await server.run('placement list -o yaml')).stdout).toMatch(/^- network_id: red\n {2}host_id: h1\n/);
    expect((await server.run('subnet get red-a -o yaml')).stdout).toContain(
      'routes:\n  - destination: "192.168.0.0/16"\n    next_hop: "10.0.0.9"\n',
    );
  });

  test('what others wrote cannot drive the terminal', async () => {
    const owner = 'vm\u001b[2J\u009b1m';
    await using server = await withServer({
      listReservations: () => ({ reservations: [{ ...wireReservation, owner }] }),
    });
    expect((await server.run('reservation list')).stdout).toContain('vm?[2J?1m');
  });

  test('a reserve that is not ready in time says so beside its result', async () => {
    await using server = await withServer({
      reserveAddress: () => ({ reservation: wireReservation, created: true, ready: false, readyServers: 1 }),
    });
    const { code, stdout, stderr } = await server.run('reserve red-a 52:54:00:aa:bb:cc --ready 2 -o json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ready: false, ready_servers: 1, reservation: { address: '10.0.0.7' } });
    expect(stderr).toBe('leasehold: reserved, but only 1 of 2 DHCP servers confirmed it in time\n');
    expect(server.requests('reserveAddress')[0]?.waitReady).toEqual({ servers: 2, timeout: undefined });
  });
});

describe('flags', () => {
  test('reach the server as they were meant', async () => {
    await using server = await withServer(EVERYTHING);
    await server.run(
      'subnet create a --network red --cidr 10.0.0.0/24 --dns-server 10.0.0.2,10.0.0.3 --dns-server 10.0.0.4 ' +
        '--lease-time 5m --reuse-delay 7d --range 10.0.0.5-10.0.0.9 --option 6=10.0.0.2,10.0.0.3 --route 10.9.0.0/16=10.0.0.8',
    );
    expect(server.requests('createSubnet')[0]?.subnet).toMatchObject({
      subnetId: 'a',
      networkId: 'red',
      dnsServers: ['10.0.0.2', '10.0.0.3', '10.0.0.4'],
      leaseTime: { seconds: 300n },
      reuseDelay: { seconds: 604_800n },
      allocationRanges: [{ first: '10.0.0.5', last: '10.0.0.9' }],
      options: [{ code: 6, value: '10.0.0.2,10.0.0.3' }],
      routes: [{ destination: '10.9.0.0/16', nextHop: '10.0.0.8' }],
    });
    await server.run(['subnet', 'update', 'a', '--gateway', '', '--dns-server=', '--label=', '--mtu=']);
    expect(server.requests('updateSubnet')[0]).toMatchObject({
      subnet: { gateway: undefined, dnsServers: [], labels: {}, mtu: undefined },
      updateMask: ['gateway', 'dns_servers', 'mtu', 'labels'],
    });
    await server.run('network update red --no-ipam-enabled --dhcp-server-count=0 --etag n1');
    expect(server.requests('updateNetwork')[0]).toMatchObject({
      network: { ipamEnabled: false, dhcpServerCount: 0, etag: 'n1' },
      updateMask: ['ipam_enabled', 'dhcp_server_count'],
    });
    await server.run('release red-a 10.0.0.7 --guest-stopped --mac m');
    expect(server.requests('releaseAddress')[0]).toMatchObject({ address: '10.0.0.7', guestStopped: true, mac: 'm' });
  });

  test('win over their variables, which split repeatable ones on commas', async () => {
    await using server = await withServer(EVERYTHING);
    const env = { LEASEHOLD_OWNER: 'env', LEASEHOLD_LABEL: 'a=1,b=2', LEASEHOLD_HOSTNAME: '' };
    await server.run('reserve red-a m', env);
    await server.run('reserve red-a m --owner flag --label c=3', env);
    expect(server.requests('reserveAddress')).toMatchObject([
      { owner: 'env', labels: { a: '1', b: '2' }, hostname: '' },
      { owner: 'flag', labels: { c: '3' } },
    ]);
  });

  test('may stand before the command, and -- ends them', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run('-o json --timeout 5s network get -- --red')).code).toBe(0);
    expect(server.requests('getNetwork')).toEqual([{ networkId: '--red' }]);
  });

  test('reserve takes a network instead of a subnet', async () => {
    await using server = await withServer(EVERYTHING);
    await server.run('reserve --network red 52:54:00:aa:bb:cc');
    expect(server.requests('reserveAddress')[0]).toMatchObject({
      subnetId: '',
      networkId: 'red',
      mac: '52:54:00:aa:bb:cc',
    });
  });
});
