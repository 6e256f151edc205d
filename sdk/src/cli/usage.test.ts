import { ServerCredentials } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { Certificate } from '../test-support/certificates.js';
import { EVERYTHING, leasehold, withServer } from '../test-support/cli.js';
import { wireReservation } from '../test-support/samples.js';
import { startScriptedServer } from '../test-support/scripted-server.js';
import { COMMANDS } from './commands.js';
import { environmentName, flagName } from './flags.js';

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
    ['reservation update --owner x', 'name it by id, by --subnet and --address, or by --network and --mac'],
    ['history', 'name an address by SUBNET and ADDRESS, or give --mac or --owner'],
    ['history --network red', 'name an address by SUBNET and ADDRESS, or give --mac or --owner'],
    ['history red-a', 'ADDRESS is missing'],
    [
      'history --mac m --since yesterday',
      '--since: expected a time like 2026-01-02T12:00:00Z, a day like 2026-01-02 or a span back from now like 24h, not "yesterday"',
    ],
    ['watch --snapshot --resume-token t1', '--snapshot and --resume-token exclude each other'],
    ['status --timeout', '--timeout needs DURATION'],
    ['status --server --timeout 1s', '--server needs SERVER'],
    ['status --timeout 10', '--timeout: expected a duration like 500ms, 30s, 5m, 1h or 7d, not "10"'],
    ['status --timeout 2d', '--timeout: expected at most 1d, not "2d"'],
    ['status -o xml', '--output: expected table, json, yaml, not "xml"'],
    ['status -o=', '--output: expected table, json, yaml, not ""'],
    [
      'network update red --dhcp-server-count 17',
      '--dhcp-server-count: expected a whole number from 0 to 16, not "17"',
    ],
    ['network update red --label team', '--label: expected KEY=VALUE, not "team"'],
    ['host update h1 --managed=maybe', '--managed: expected true or false, not "maybe"'],
    [
      'status --server nowhere',
      '--server: expected one server like 127.0.0.1:7067 or unix:/run/leasehold.sock, not "nowhere"',
    ],
  ])('%s', async (line, problem) => {
    const { code, stdout, stderr } = await leasehold(line);
    expect(stderr.split('\n')[0]).toBe(`leasehold: ${problem}`);
    expect(stderr).toMatch(/\nSee 'leasehold.* --help'\n$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  // As of a script whose variable is not set.
  test.each([
    ['reservation release --network red --owner= --guest-stopped', '--owner: expected TEXT, not ""'],
    ['release red-a 10.0.0.7 --mac=', '--mac: expected MAC, not ""'],
    ['release red-a 10.0.0.7 --reservation-id=', '--reservation-id: expected ID, not ""'],
    ['rebalance --network=', '--network: expected ID, not ""'],
    ['network delete red --etag=', '--etag: expected ETAG, not ""'],
  ])('%s is sent to nobody', async (line, problem) => {
    await using server = await withServer(EVERYTHING);
    const { code, stderr } = await server.run(line);
    expect({ code, first: stderr.split('\n')[0] }).toEqual({ code: 2, first: `leasehold: ${problem}` });
    expect(server.calls()).toEqual([]);
  });

  test('an empty text is for settings alone, which it clears', () => {
    const settings = new Set([
      ...['dnsServer', 'domainName', 'domainSearch', 'displayName', 'exclude', 'gateway', 'hostname', 'label', 'mtu'],
      ...['ntpServer', 'option', 'range', 'route'],
    ]);
    const taken = COMMANDS.flatMap(({ path, flags }) =>
      Object.entries(flags)
        .filter(([key, flag]) => !settings.has(key) && flag.parse(['']).ok)
        .map(([key]) => `${path.join(' ')} --${flagName(key)}`),
    );
    expect(taken).toEqual(['reserve --owner', 'reservation update --owner', 'reservation import --ignore-column']);
  });

  test('a wrong variable is named', async () => {
    const { code, stderr } = await leasehold('status', { LEASEHOLD_TIMEOUT: 'soon' });
    expect(code).toBe(2);
    expect(stderr).toContain('LEASEHOLD_TIMEOUT: expected a duration');
  });

  test('a list of servers with one that is none', async () => {
    const { code, stderr } = await leasehold('status', { LEASEHOLD_SERVER: 'unix:/run/a.sock,localhost' });
    expect(code).toBe(2);
    expect(stderr.split('\n')[0]).toBe(
      'leasehold: LEASEHOLD_SERVER: expected one server like 127.0.0.1:7067 or unix:/run/leasehold.sock, not "unix:/run/a.sock,localhost"',
    );
  });

  test.each([
    ['--tls-cert a.pem', '--tls-ca is missing: who signs the certificates of the servers?'],
    ['--tls-trust-domain a', '--tls-ca is missing: who signs the certificates of the servers?'],
    ['--tls-ca /nowhere/ca.pem', '--tls-ca: "/nowhere/ca.pem" cannot be read (ENOENT)'],
    ['--tls-ca /dev/null/ca', '--tls-ca: "/dev/null/ca" cannot be read (ENOTDIR)'],
    ['--tls-ca a --insecure-network', 'tls and --insecure-network exclude each other'],
    [
      '--server 10.0.0.1:7067',
      '10.0.0.1:7067 is on another machine and there is no TLS: everyone on the way could read and change calls (set --tls-ca, or allow it with --insecure-network)',
    ],
  ])('%s says it in flags', async (flags, problem) => {
    const { code, stderr } = await leasehold(`status ${flags}`);
    expect(code).toBe(2);
    expect(stderr.split('\n')[0]).toBe(`leasehold: ${problem}`);
  });

  test('so does what is wrong with the TLS of a server', async () => {
    const [ours, theirs] = [Certificate.authority('ours'), Certificate.authority('theirs')];
    const { cert, key } = ours.issue();
    const secure = ServerCredentials.createSsl(null, [
      { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) },
    ]);
    await using tls = await startScriptedServer({}, '127.0.0.1:0', secure);
    await using plain = await startScriptedServer({});
    const said = async (server: string, env: Record<string, string> = {}) => {
      const [asText, asJson] = [
        await leasehold(['status', '--server', server], env),
        await leasehold(['status', '--server', server, '-o', 'json'], env),
      ];
      const { error } = JSON.parse(asJson.stderr) as { readonly error: { readonly message: string } };
      expect(asText.stderr.split('\n')[0]).toBe(`leasehold: ${error.message} (NO_CONNECTION)`);
      return error.message.slice(`No connection to ${server}: `.length);
    };
    expect(await said(tls.server)).toBe('it ended it at once, as one that speaks TLS does: set --tls-ca');
    expect(await said(plain.server, { LEASEHOLD_TLS_CA: ours.cert })).toBe(
      'it does not speak TLS: connect without --tls-ca, or give the server a certificate',
    );
    expect(await said(tls.server, { LEASEHOLD_TLS_CA: theirs.cert })).toBe(
      'its certificate does not come from a CA of --tls-ca: give the CA that signed it',
    );
    const env = { LEASEHOLD_TLS_CA: ours.cert, LEASEHOLD_TLS_TRUST_DOMAIN: 'plane.test' };
    expect(await said(tls.server, env)).toMatch(
      /^it is no server of --tls-trust-domain, .* or set --tls-trust-domain$/,
    );
    const elsewhere = { LEASEHOLD_TLS_CA: ours.cert, LEASEHOLD_TLS_SERVER_NAME: 'plane.test' };
    expect(await said(tls.server, elsewhere)).toMatch(/or set --tls-server-name$/);
  });

  test.each(['-o json', '-o=json', '-ojson', '--output=json'])(
    'as JSON when JSON was asked for by %s',
    async (output) => {
      const { code, stderr } = await leasehold(`network list ${output} --sever x`);
      expect(code).toBe(2);
      expect(JSON.parse(stderr)).toEqual({
        error: {
          code: 'INVALID_ARGUMENT',
          reason: 'BAD_USAGE',
          message: 'unknown flag --sever, did you mean --server?',
        },
      });
    },
  );

  test('plaintext to another machine needs its flag', async () => {
    const { code, stderr } = await leasehold('status --server 192.0.2.1:7067');
    expect(code).toBe(2);
    expect(stderr).toContain('allow it with --insecure-network');
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
    await server.run(['reservation', 'update', 'r-1', '--hostname=', '--owner=vm-1', '--label=', '--etag', 'r1']);
    await server.run('reservation update --subnet red-a --address 10.0.0.7 --option 66=a --option 67=b');
    expect(server.requests('updateReservation')).toMatchObject([
      {
        reservation: { reservationId: 'r-1', hostname: '', owner: 'vm-1', labels: {}, etag: 'r1' },
        updateMask: ['hostname', 'owner', 'labels'],
      },
      {
        key: { key: { value: { subnetId: 'red-a', address: '10.0.0.7' } } },
        reservation: { options: [{ code: 66 }, { code: 67 }] },
        updateMask: ['options'],
      },
    ]);
    const { mac } = wireReservation;
    await server.run(`history red-a 10.0.0.7 --mac ${mac} --owner o --network red --since 2026-01-02 --until 24h`);
    expect(server.requests('listAddressHistory')[0]).toMatchObject({
      ...{ subnetId: 'red-a', address: '10.0.0.7', mac, owner: 'o', networkId: 'red', pageSize: 1_000 },
      ...{ startTime: new Date('2026-01-02T00:00:00Z'), endTime: expect.any(Date) },
    });
    await server.run('audit --network red --resource subnet:a:b --caller me --since 2026-01-02 --limit 2');
    expect(server.requests('listAuditEvents')[0]).toMatchObject({
      ...{ networkId: 'red', resourceKind: 2, resourceId: 'a:b', caller: 'me', pageSize: 2 },
      ...{ startTime: new Date('2026-01-02T00:00:00Z'), endTime: undefined },
    });
    await server.run(`release red-a 10.0.0.7 --guest-stopped --mac ${mac}`);
    expect(server.requests('releaseAddress')[0]).toMatchObject({ address: '10.0.0.7', guestStopped: true, mac });
  });

  test('that every command has win over their variables', async () => {
    await using server = await withServer(EVERYTHING);
    const env = { LEASEHOLD_OUTPUT: 'json' };
    expect((await server.run('network get red', env)).stdout).toMatch(/^\{/);
    expect((await server.run('network get red -o yaml', env)).stdout).toMatch(/^network_id: red$/m);
  });

  test('of one command have no variables: what is in the environment guards, filters, vouches and sets nothing', async () => {
    await using server = await withServer(EVERYTHING);
    const keys = COMMANDS.flatMap(({ flags }) => Object.keys(flags));
    const env = Object.fromEntries(keys.map((key) => [environmentName(key), 'true']));
    expect(env).toMatchObject({ LEASEHOLD_GUEST_STOPPED: 'true', LEASEHOLD_NETWORK: 'true' });
    await server.run('release red-a 10.0.0.7', env);
    await server.run('subnet list', env);
    await server.run('network update red --display-name x', env);
    expect(server.requests('releaseAddress')[0]).toMatchObject({ guestStopped: false, mac: '', reservationId: '' });
    expect(server.requests('listSubnets')).toMatchObject([{ networkId: '' }]);
    expect(server.requests('updateNetwork')).toMatchObject([{ network: { etag: '' }, updateMask: ['display_name'] }]);
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
