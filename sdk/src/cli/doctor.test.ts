import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Certificate } from '../test-support/certificates.js';
import { EVERYTHING, FILES, leasehold, withServer } from '../test-support/cli.js';
import { wireHost, wireNetwork, wireReservation, wireWell } from '../test-support/samples.js';
import { type Handlers, refuse } from '../test-support/scripted-server.js';

const HEALTHY = {
  ...EVERYTHING,
  getStatus: () => wireWell,
  listNetworks: () => ({
    networks: [{ ...wireNetwork, status: { subnets: 1, serversWanted: 2, serversServing: 2, shortReason: '' } }],
  }),
  listHosts: () => ({ hosts: [{ ...wireHost, breaker: 1 as const }] }),
} satisfies Handlers;

const DEAD = { liveness: 3, breaker: 1 } as const;
const DOWN = Array.from({ length: 8 }, (_, index) => ({ ...wireHost, hostId: `h${index}`, ...DEAD }));

describe('doctor', () => {
  test('says in a verdict that all is well, with exit code 0', async () => {
    await using server = await withServer(HEALTHY);
    const { code, stdout, stderr } = await server.run('doctor');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ok +store +mongodb, usable$/m);
    expect(stdout).toMatch(/\nAll is well\n$/);
  });

  test('is exit 1 with a problem, worst first, the same said once, with what to do', async () => {
    await using server = await withServer({ ...HEALTHY, listHosts: () => ({ hosts: DOWN }) });
    const { code, stdout } = await server.run('doctor');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^problem {2}host h0 +is down\n +host h1 +→ Look at it and its agent.*\n +host h2\n +host h3\n +host h4\n +and 3 more\n/,
    );
    expect(stdout).toMatch(/\n8 problems\n$/);
  });

  test('is exit 0 with warnings alone', async () => {
    await using server = await withServer({ ...HEALTHY, listHosts: () => ({ hosts: [wireHost] }) });
    const { code, stdout } = await server.run('doctor');
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nNothing is broken, 1 warning\n$/);
  });

  test('as JSON has a verdict and every finding with all that it is about', async () => {
    await using server = await withServer({ ...HEALTHY, listHosts: () => ({ hosts: DOWN }) });
    const { code, stdout } = await server.run('doctor -o json');
    expect(code).toBe(1);
    const { verdict, findings } = JSON.parse(stdout) as { verdict: string; findings: readonly object[] };
    expect(verdict).toBe('problem');
    expect(findings[0]).toEqual({
      check: 'host-down',
      severity: 'problem',
      what: 'is down',
      about: DOWN.map(({ hostId }) => `host ${hostId}`),
      next: expect.stringContaining('leasehold fence'),
    });
  });

  test('goes on where a part cannot be read', async () => {
    const refusal = refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE', message: 'Away', pushback: '60000' });
    await using server = await withServer({ ...HEALTHY, listSubnets: () => refusal });
    const { code, stdout } = await server.run('doctor');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^problem +subnets +could not be read: Away \(STORE_UNAVAILABLE\)$/m);
    expect(stdout).toMatch(/^ok +hosts /m);
  });

  test('is exit 3 when no server answers, and says what that may be', async () => {
    const { code, stdout } = await leasehold('doctor --server 127.0.0.1:1');
    expect(code).toBe(3);
    expect(stdout).toContain('No connection to 127.0.0.1:1 (ECONNREFUSED) (NO_CONNECTION)');
    expect(stdout).toContain('→ Nothing listens there: is leasehold-server running, with this --listen?');
    const asYaml = await leasehold('doctor --server 127.0.0.1:1 -o yaml');
    expect(asYaml.stdout).toMatch(/^verdict: problem\nfindings:\n {2}- check: server-unreachable\n/);
  });

  test('asks each server that is named, and says which does not answer', async () => {
    await using one = await withServer(HEALTHY);
    await using other = await withServer(HEALTHY);
    const { code, stdout } = await leasehold(`doctor --server ${one.server},127.0.0.1:1,${other.server}`);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^problem +server 127\.0\.0\.1:1 +No connection .*\(NO_CONNECTION\)$/m);
    expect([one, other].map(({ calls }) => calls().filter((name) => name === 'getStatus').length)).toEqual([1, 1]);
    const well = await leasehold(`doctor --server ${one.server},${other.server}`);
    expect(well.stdout).toMatch(/^ok +server +all 2 answer$/m);
    const nobody = await leasehold('doctor --server 127.0.0.1:1,127.0.0.1:2');
    expect(nobody.code).toBe(3);
    expect(nobody.stdout).toMatch(/^problem +server 127\.0\.0\.1:2 /m);
  });

  test('counts ages by the clock of the server, whatever this machine thinks that it is', async () => {
    const time = new Date('2096-01-02T12:00:00Z');
    const since = new Date(time.getTime() - 60_000);
    const brakes = [{ kind: 'BUDGET', reason: 'Too many', since }];
    const getStatus = () => ({ ...wireWell, time, brakes, certificateEndTime: new Date(time.getTime() + 3_600_000) });
    await using server = await withServer({ ...HEALTHY, getStatus });
    const { stdout } = await server.run('doctor');
    expect(stdout).toMatch(/^problem +certificate of the server +ends at 2096-01-02T13:00:00Z$/m);
    expect(stdout).toMatch(/^warning +brake BUDGET +Too many, since 2096-01-02T11:59:00Z$/m);
  });

  test('says when the own certificate ends, also where no server takes it any more', async () => {
    const ca = Certificate.authority('CA');
    const own = ca.issue({ uri: 'spiffe://leasehold/engine/e', days: -1 });
    const bundle = `${own.cert}${ca.cert}`;
    const directory = mkdtempSync(join(tmpdir(), 'leasehold-doctor-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'own.crt');
    writeFileSync(path, bundle);
    FILES[path] = bundle;
    const env = { LEASEHOLD_TLS_CA: ca.cert, LEASEHOLD_TLS_CERT: path, LEASEHOLD_TLS_KEY: own.key };
    const { code, stdout } = await leasehold('doctor --server 127.0.0.1:1', env);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^problem +own certificate +has ended at .*\n +→ Put a new one in the place of --tls-cert/m);
  });

  test('names a listener that is not for operators', async () => {
    await using server = await withServer({});
    const { code, stdout } = await server.run('doctor');
    expect(code).toBe(1);
    expect(stdout).toContain('Is it a listener for operators');
  });
});

describe('colours', () => {
  test('are on a terminal only, and not with NO_COLOR or a terminal that has none', async () => {
    await using server = await withServer(HEALTHY);
    const shown = await server.runAtTerminal('host list', { TERM: 'xterm' });
    expect(shown.stdout).toContain('\u001b[1mHOST\u001b[0m');
    expect(shown.stdout).toContain('\u001b[32mup\u001b[0m');
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      expect((await server.runAtTerminal('host list', env)).stdout).not.toContain('\u001b');
    }
    expect((await server.runAtTerminal('host list -o json')).stdout).not.toContain('\u001b');
    expect((await server.run('host list')).stdout).not.toContain('\u001b');
  });

  test('are not of a guest that gave its address up, which is no conflict', async () => {
    const at = { time: new Date(0), sourceMac: wireReservation.mac, hostId: 'h1' };
    await using server = await withServer({
      listReservations: () => ({
        reservations: ([1, 3] as const).map((kind) => ({ ...wireReservation, conflict: { ...at, kind } })),
      }),
    });
    const { stdout } = await server.runAtTerminal('reservation list', { TERM: 'xterm' });
    expect(stdout).toContain('\u001b[31mdeclined\u001b[0m');
    expect(stdout).toMatch(/ released$/m);
  });

  test('change nothing but colours', async () => {
    await using server = await withServer(HEALTHY);
    for (const line of ['host list', 'network list', 'reservation list', 'host get h1', 'doctor']) {
      const plain = (await server.run(line)).stdout;
      const coloured = (await server.runAtTerminal(line)).stdout;
      expect(coloured).not.toBe(plain);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
      expect(coloured.replace(/\u001b\[[0-9]+m/g, '')).toBe(plain);
    }
  });
});
