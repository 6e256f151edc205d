import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { IpamServiceService } from '../gen/ipam/v1/ipam_service.js';
import { EVERYTHING, leasehold, withServer } from '../test-support/cli.js';
import { wireAudit, wireNetwork, wireReservation, wireSnapshot, wireWell } from '../test-support/samples.js';
import { aborted, FromMemory, refuse } from '../test-support/scripted-server.js';
import { COMMANDS } from './commands.js';

const parseJson = (text: string): unknown => JSON.parse(text);

/** Splits an example as a shell would. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

describe('every command', () => {
  test('has examples that work as they stand, in help and in docs/cli.md', async () => {
    await using server = await withServer({ ...EVERYTHING, getStatus: () => wireWell });
    const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\$ leasehold (.*)$/gm)].map(([, line]) => line ?? '');
    for (const { path } of COMMANDS) expect(documented.some((line) => line.startsWith(path.join(' ')))).toBe(true);
    for (const example of [...COMMANDS.flatMap(({ examples }) => examples), ...documented]) {
      const words = shellWords(example.replace(' --server unix:/run/leasehold.sock', ''));
      expect({ example, ...(await server.run(words)), stdout: '' }).toEqual({
        example,
        code: 0,
        stdout: '',
        stderr: '',
      });
    }
    // Together they reach every RPC: what the command line cannot do, an operator would need another program for.
    expect([...new Set(server.calls())].toSorted()).toEqual(Object.keys(IpamServiceService).toSorted());
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
    expect(reserve.stdout).toMatch(/--ready-timeout DURATION +How long to wait for them, up to 60s, default 5s$/m);
    expect(reserve.stdout).toMatch(/--timeout DURATION .* \[LEASEHOLD_TIMEOUT\]$/m);
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

describe('failures', () => {
  test('a refusal is exit 1: one line, and one for each field', async () => {
    const violations = [{ field: 'subnet.cidr', description: 'Has host bits' }];
    const refusal = refuse('INVALID_ARGUMENT', { reason: 'INVALID_FIELD', message: 'No such CIDR', violations });
    await using server = await withServer({ createSubnet: () => refusal });
    const line = 'subnet create a --network red --cidr 10.0.0.0/24';
    expect(await server.run(line)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'leasehold: No such CIDR (INVALID_FIELD)\n  subnet.cidr: Has host bits\n',
    });
    const asJson = await server.run(`${line} -o json`);
    expect(asJson).toMatchObject({ code: 1, stdout: '' });
    expect(parseJson(asJson.stderr)).toEqual({
      error: {
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_FIELD',
        message: 'No such CIDR',
        metadata: {},
        field_violations: [{ field: 'subnet.cidr', description: 'Has host bits' }],
        retryable: false,
        next: '',
      },
    });
  });

  test('a refusal whose message names its fields says them once', async () => {
    const said = { field: 'subnet.cidr', description: 'Has host bits' };
    const unsaid = { field: 'subnet.mtu', description: '5 is not between 576 and 65535' };
    const message = 'subnet.cidr: Has host bits; and 1 more';
    const refusal = refuse('INVALID_ARGUMENT', { reason: 'INVALID_FIELD', message, violations: [said, unsaid] });
    await using server = await withServer({ createSubnet: () => refusal });
    const { stderr } = await server.run('subnet create a --network red --cidr 10.0.0.0/24');
    expect(stderr).toBe(`leasehold: ${message} (INVALID_FIELD)\n  subnet.mtu: 5 is not between 576 and 65535\n`);
  });

  test('a store that is away is a refusal, with the pause it asks for', async () => {
    const refusal = refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE', pushback: '60000' });
    await using server = await withServer({ getStatus: () => refusal });
    const { code, stderr } = await server.run('status -o json');
    expect(code).toBe(1);
    expect(parseJson(stderr)).toMatchObject({ error: { reason: 'STORE_UNAVAILABLE', retry_after: '60s' } });
  });

  test('nobody there is exit 3', async () => {
    expect(await leasehold('status --server 127.0.0.1:1')).toEqual({
      code: 3,
      stdout: '',
      stderr: [
        'leasehold: No connection to 127.0.0.1:1 (ECONNREFUSED) (NO_CONNECTION)',
        '  → Nothing listens there: is leasehold-server running, with this --listen?',
        '',
      ].join('\n'),
    });
  });

  test('an answer that was lost is exit 3', async () => {
    await using server = await withServer({ deleteNetwork: () => refuse('UNAVAILABLE', { message: 'dropped' }) });
    const { code, stderr } = await server.run('network delete red');
    expect(code).toBe(3);
    expect(stderr).toMatch(/^leasehold: The connection to .* look at what is there .* \(OUTCOME_UNKNOWN\)\n$/);
  });

  test('a change of which the store did not say in time whether it was made is exit 3', async () => {
    const details = { reason: 'OUTCOME_UNKNOWN', message: 'The store did not answer in time' };
    await using server = await withServer({ deleteNetwork: () => refuse('UNAVAILABLE', details) });
    const stderr = 'leasehold: The store did not answer in time (OUTCOME_UNKNOWN)\n';
    expect(await server.run('network delete red')).toEqual({ code: 3, stdout: '', stderr });
  });

  test('no answer in time is exit 3', async () => {
    await using server = await withServer({ getStatus: () => 'never' });
    const { code, stderr } = await server.run('status --timeout 40ms');
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /^leasehold: GetStatus got no answer from .* within 40 ms \(DEADLINE_EXCEEDED\)\n {2}→ Wait longer by --timeout.*\n$/,
    );
  });
});

describe('output', () => {
  test('a list is an aligned table for people', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run('subnet list')).stdout).toBe(
      [
        'SUBNET  NETWORK  CIDR         GATEWAY   RESERVED  QUARANTINED  FREE',
        'red-a   red      10.0.0.0/24  10.0.0.1  3         2            84',
        'b       red      10.0.1.0/24  -         3         2            84',
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
    const subnet = parseJson((await server.run('subnet get red-a -o json')).stdout);
    expect(subnet).toMatchObject({
      subnet_id: 'red-a',
      dns_servers: ['10.0.0.2', '10.0.0.3'],
      routes: [{ destination: '192.168.0.0/16', next_hop: '10.0.0.9' }],
      lease_time: '3600s',
      reuse_delay: '60.5s',
      usage: { capacity: 89, reserved: 3, quarantined: 2, free: 84 },
      create_time: '2026-01-02T12:00:00.000Z',
    });
    const network = parseJson((await server.run('network get red -ojson')).stdout);
    expect(parseJson((await server.run('network get red -o=json')).stdout)).toEqual(network);
    expect(network).toHaveProperty('labels', { teamName: 'a' });
    const reservations = parseJson((await server.run('reservation list --output=json')).stdout);
    expect(reservations).toMatchObject([{ address: '10.0.0.7', state: 'RESERVATION_STATE_RESERVED' }]);
    const hosts = parseJson((await server.run('host list', { LEASEHOLD_OUTPUT: 'json' })).stdout);
    expect(hosts).toMatchObject([{ liveness: 'HOST_LIVENESS_UP', breaker: 'BREAKER_STATE_HALF_OPEN' }]);
    const status = parseJson((await server.run('status -o json')).stdout);
    expect(status).toMatchObject({
      authority: '86400s',
      store: { breaker: 'BREAKER_STATE_OPEN', unavailable_since: '2026-01-02T12:00:00.000Z' },
      holder: { advertise: '10.9.0.1:7067', agent_advertise: '10.9.0.1:7069' },
    });
    expect(parseJson((await server.run('network delete red -o json')).stdout)).toEqual({});
  });

  test('JSON has enum values with their prefix wherever a reservation stands', async () => {
    const conflict = { time: new Date(0), kind: 1 as const, sourceMac: wireReservation.mac, hostId: 'h1' };
    const reservation = { ...wireReservation, conflict };
    const shown = { state: 'RESERVATION_STATE_RESERVED', conflict: { kind: 'CONFLICT_KIND_DECLINED' } };
    await using server = await withServer({
      listReservations: () => ({ reservations: [reservation] }),
      getReservation: () => ({ reservation }),
      listAddressHistory: () => ({ tenures: [reservation] }),
      listAuditEvents: () => ({
        events: [{ ...wireAudit[1], after: { state: { $case: 'reservation' as const, value: reservation } } }],
      }),
      async *watchEvents(_, __, ended) {
        yield { resumeToken: 't1', event: { $case: 'reservation', value: { change: 2, reservation } } };
        await aborted(ended);
      },
    });
    const json = async (line: string) => parseJson((await server.run(`${line} -o json`)).stdout);
    expect(await json('reservation list')).toMatchObject([shown]);
    expect(await json('reservation get r-1')).toMatchObject(shown);
    expect(await json('history --mac 52:54:00:aa:bb:cc')).toMatchObject([shown]);
    expect(await json('audit')).toMatchObject([{ after: shown }]);
    expect(await json('watch')).toMatchObject({ kind: 'reservation', reservation: shown });
    expect((await server.run('reservation get r-1')).stdout).toMatch(/^conflict.kind +declined$/m);
  });

  test('YAML quotes what it would read as something else', async () => {
    await using server = await withServer(EVERYTHING);
    const { stdout } = await server.run('reservation get --network red --mac 52:54:00:aa:bb:cc -o yaml');
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

  test('a rebalance is a table of moves, and a dry run asks for nothing more', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run('rebalance --dry-run')).stdout).toBe('NETWORK  FROM  TO\nred      h1    h2\n');
    expect((await server.run('rebalance --network red -o json')).stdout).toContain('"from_host_id": "h1"');
    expect(server.requests('rebalancePlacements')).toEqual([
      { networkId: '', validateOnly: true },
      { networkId: 'red', validateOnly: false },
    ]);
  });

  test('labels are told apart whatever they hold', async () => {
    const labels = { a: 'x y', b: '2' };
    await using server = await withServer({ getNetwork: () => ({ network: { ...wireNetwork, labels } }) });
    expect((await server.run('network get red')).stdout).toMatch(/^labels +a=x y, b=2$/m);
  });

  test('what others wrote cannot drive the terminal', async () => {
    const owner = 'vm\u001b[2J\u009b1m';
    await using server = await withServer({
      listReservations: () => ({ reservations: [{ ...wireReservation, owner }] }),
    });
    expect((await server.run('reservation list')).stdout).toContain('vm?[2J?1m');
    await using refusing = await withServer({
      getStatus: () => refuse('INTERNAL', { message: 'a\u001bb\nc', reason: 'A\u001b[2J' }),
    });
    expect((await refusing.run('status')).stderr).toBe('leasehold: a?b?c (A?[2J)\n');
  });

  test('what others wrote shows as what it is, and pushes nothing out of its column', async () => {
    const owners = ['東京🚀', 'mu\u0308ller', 'vm\u202e1', 'vm\u200b\ufeff2'];
    await using server = await withServer({
      listReservations: () => ({
        reservations: owners.map((owner) => ({ ...wireReservation, owner, hostname: 'web' })),
      }),
    });
    const { stdout } = await server.run('reservation list');
    const shown = stdout.split('\n').map((line) => / {2}(\S+ +)web /.exec(line)?.[1]);
    expect(shown.slice(1, 5)).toEqual(['東京🚀  ', 'mu\u0308ller  ', 'vm?1    ', 'vm??2   ']);
  });

  test('JSON and YAML escape what would drive the terminal, and lose nothing of it', async () => {
    const owner = 'a\u009b1m\u202e\u2028\u{e0041}b\u007f';
    await using server = await withServer({
      getReservation: () => ({ reservation: { ...wireReservation, owner } }),
    });
    const { stdout } = await server.run('reservation get r-1 -o json');
    expect(stdout).toContain('"a\\u009b1m\\u202e\\u2028\\udb40\\udc41b\\u007f"');
    expect(parseJson(stdout)).toMatchObject({ owner });
    const asYaml = await server.run('reservation get r-1 -o yaml');
    expect(asYaml.stdout).toContain('owner: "a\\u009b1m\\u202e');
  });

  test('a reserve that is not ready in time says so beside its result', async () => {
    await using server = await withServer({
      reserveAddress: () => ({ reservation: wireReservation, created: true, ready: false, readyServers: 1 }),
    });
    const { code, stdout, stderr } = await server.run('reserve red-a 52:54:00:aa:bb:cc --ready 2 -o json');
    expect(code).toBe(0);
    expect(parseJson(stdout)).toMatchObject({ ready: false, ready_servers: 1, reservation: { address: '10.0.0.7' } });
    expect(stderr).toBe('leasehold: reserved, but only 1 of 2 DHCP servers confirmed it in time\n');
    expect(server.requests('reserveAddress')[0]?.waitReady).toEqual({ servers: 2, timeout: undefined });
  });
});

describe('history', () => {
  test('is a table of tenures, newest first', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run('history red-a 10.0.0.7')).stdout).toBe(
      [
        'ADDRESS   MAC                RESERVED              RELEASED              ENDED                 SUBNET  OWNER',
        '10.0.0.7  52:54:00:aa:bb:cc  2026-01-02T12:00:00Z  -                     -                     red-a   vm-42/nic0',
        '10.0.0.7  52:54:00:aa:bb:cc  2026-01-02T12:00:00Z  2026-01-02T12:00:00Z  2026-01-02T13:00:00Z  red-a   vm-42/nic0',
        '',
      ].join('\n'),
    );
    const tenures = parseJson((await server.run('history --mac 52:54:00:aa:bb:cc -o json')).stdout);
    expect(tenures).toMatchObject([{}, { state: 'RESERVATION_STATE_ENDED', end_time: '2026-01-02T13:00:00.000Z' }]);
  });
});

describe('audit', () => {
  test('is a table of who changed what, newest first, with the names of what is another than before', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run('audit --resource subnet:red-a')).stdout).toBe(
      [
        'TIME                  CALLER        METHOD               RESOURCE         NETWORK  CHANGED',
        '2026-01-02T12:00:00Z  engine/ovirt  UpdateSubnet         subnet:red-a     red      lease_time',
        '2026-01-02T12:00:00Z  insecure      ReserveAddress       reservation:r-1  red      -',
        '2026-01-02T12:00:00Z  insecure      DeleteHost           host:h1          -        -',
        '2026-01-02T12:00:00Z  insecure      RebalancePlacements  placements:red   red      host_ids',
        '',
      ].join('\n'),
    );
    const [subnet] = parseJson((await server.run('audit -o json')).stdout) as object[];
    expect(subnet).toMatchObject({
      resource_kind: 'AUDIT_RESOURCE_KIND_SUBNET',
      before: { lease_time: '3600s' },
      after: { lease_time: '7200s' },
    });
    const limited = await server.run('audit --limit 2 -o json');
    expect(parseJson(limited.stdout)).toHaveLength(2);
  });

  test('of a kind that is none is bad usage', async () => {
    const { code, stderr } = await leasehold('audit --resource vlan:7');
    expect(code).toBe(2);
    expect(stderr).toContain('--resource: expected one of network, subnet, host, reservation, placements, as subnet');
  });
});

describe('watch', () => {
  test('is a line for each event but bookmarks, until Ctrl-C, which is exit 0', async () => {
    await using server = await withServer(EVERYTHING);
    expect(await server.run('watch --network red --snapshot', {}, 6)).toEqual({
      code: 0,
      stdout: [
        'network      present  red  enabled',
        'snapshot     complete',
        'subnet       created  red-a  10.0.0.0/24  red',
        'reservation  updated  10.0.0.7  52:54:00:aa:bb:cc  reserved  red-a  vm-42/nic0',
        'host         deleted  h1',
        'placement    created  red  h1  serving',
        '',
      ].join('\n'),
      stderr: '',
    });
    expect(server.requests('watchEvents')).toEqual([{ networkId: 'red', resumeToken: '', snapshot: true }]);
  });

  test('is JSON lines, each printed as it comes, with bookmarks', async () => {
    await using server = await withServer(EVERYTHING);
    const { code, stdout } = await server.run('watch --resume-token t0 -o json', {}, 5);
    const events = stdout.trimEnd().split('\n').map(parseJson);
    expect(code).toBe(0);
    expect(events).toMatchObject([
      { kind: 'bookmark', resume_token: 't2' },
      { kind: 'subnet', change: 'CHANGE_TYPE_CREATED', subnet: { lease_time: '3600s' }, resume_token: 't3' },
      { kind: 'reservation', change: 'CHANGE_TYPE_UPDATED', reservation: { state: 'RESERVATION_STATE_RESERVED' } },
      { kind: 'host', change: 'CHANGE_TYPE_DELETED', host: { liveness: 'HOST_LIVENESS_UNSPECIFIED' } },
      { kind: 'placement', change: 'CHANGE_TYPE_CREATED', placement: { state: 'PLACEMENT_STATE_SERVING' } },
    ]);
    expect(server.requests('watchEvents')[0]).toMatchObject({ resumeToken: 't0' });
  });

  test('is a YAML document for each event', async () => {
    await using server = await withServer(EVERYTHING);
    const { stdout } = await server.run('watch --snapshot -o yaml', {}, 25);
    expect(stdout).toMatch(/^---\nkind: network\nchange: CHANGE_TYPE_PRESENT\n/);
    expect(stdout).toContain('\n---\nkind: snapshot-end\nresume_token: t1\n---\n');
  });

  test('says that a broken snapshot begins again', async () => {
    await using server = await withServer({
      async *watchEvents() {
        yield* wireSnapshot.slice(0, 1);
        return refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' });
      },
    });
    const { stdout } = await server.run('watch --snapshot', {}, 2);
    expect(stdout).toMatch(/^network {6}present .*\nsnapshot {5}begins again, what it showed so far is void\n$/);
  });

  test('that is refused is exit 1, one that reaches nobody exit 3', async () => {
    const compacted = refuse('OUT_OF_RANGE', { reason: 'WATCH_COMPACTED', message: 'Begin again with a snapshot' });
    await using server = await withServer({ watchEvents: () => compacted });
    const stderr = 'leasehold: Begin again with a snapshot (WATCH_COMPACTED)\n  → Begin again with --snapshot\n';
    expect(await server.run('watch --resume-token old')).toEqual({ code: 1, stdout: '', stderr });
    expect((await leasehold('watch --server 127.0.0.1:1')).code).toBe(3);
  });
});

test('an answer from memory says so once, beside the result', async () => {
  await using server = await withServer({
    listNetworks: ({ pageToken }) => {
      const page = { networks: [wireNetwork], nextPageToken: pageToken === '' ? 'more' : '' };
      return new FromMemory(page, '2026-01-02T12:00:00.5Z');
    },
  });
  const { code, stdout, stderr } = await server.run('network list -o json');
  expect(code).toBe(0);
  expect(parseJson(stdout)).toHaveLength(2);
  expect(stderr).toBe('leasehold: answered from memory, the store is away since 2026-01-02T12:00:00Z\n');
});
