import fs, { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConnectOptions, connectWith } from './connect.js';
import { type LeaseholdError, UnavailableError } from './errors.js';
import type { LogFields } from './logger.js';
import { Certificate } from './test-support/certificates.js';
import { leasehold } from './test-support/cli.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import { wireStatus } from './test-support/samples.js';
import { aborted, type Handlers, refuse, startScriptedServer } from './test-support/scripted-server.js';
import type { TlsOptions } from './tls.js';

const ours = Certificate.authority('ours');
const theirs = Certificate.authority('theirs');
const handlers = { getStatus: () => wireStatus };

const secure = (own: Certificate, clients?: Certificate) =>
  ServerCredentials.createSsl(
    Buffer.from((clients ?? ours).cert),
    [{ cert_chain: Buffer.from(own.cert), private_key: Buffer.from(own.key) }],
    clients !== undefined,
  );

/** Asks a server for its status: `ok`, or the error. */
async function ask(server: string, options: ConnectOptions = {}, env: Record<string, string> = {}): Promise<unknown> {
  await using leasehold = connectWith({ server, ...options }, fakeRuntime(env));
  return await leasehold.status().then(
    () => 'ok',
    (error: unknown) => error,
  );
}

describe('a server with TLS', () => {
  test('is reached by a name and by an address of its certificate', async () => {
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue()));
    const tls = { ca: ours.cert };
    expect(await ask(fake.server, { tls })).toBe('ok');
    expect(await ask(fake.server.replace('127.0.0.1', 'localhost'), { tls })).toBe('ok');
    expect(await ask(fake.server, { tls: { ca: Buffer.from(theirs.cert + ours.cert) } })).toBe('ok');
  });

  test('is told from an impostor by serverName', async () => {
    await using fake = await startScriptedServer(
      handlers,
      '127.0.0.1:0',
      secure(ours.issue({ names: ['plane.test'] })),
    );
    expect(await ask(fake.server, { tls: { ca: ours.cert, serverName: 'plane.test' } })).toBe('ok');
    expect(await ask(fake.server, { tls: { ca: ours.cert, serverName: 'other.test' } })).toBeInstanceOf(
      UnavailableError,
    );
  });

  test('is known by its trust domain', async () => {
    const own = ours.issue({ uri: 'spiffe://plane.test/server/s1' });
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(own));
    const localhost = fake.server.replace('127.0.0.1', 'localhost');
    for (const server of [fake.server, localhost]) {
      expect(await ask(server, { tls: { ca: ours.cert, trustDomain: 'plane.test' } })).toBe('ok');
      expect(await ask(server, { tls: { ca: ours.cert, serverName: 'localhost' } })).toBeInstanceOf(UnavailableError);
      expect(await ask(server, { tls: { ca: ours.cert } })).toMatchObject({
        reason: 'NO_CONNECTION',
        retryable: false,
        message: expect.stringContaining(
          'is of "spiffe://plane.test/server/s1", which is not of spiffe://leasehold/',
        ) as unknown,
      });
    }
  });

  test('gets the certificate of the client', async () => {
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue(), theirs));
    const own = theirs.issue({ names: ['engine'] });
    expect(await ask(fake.server, { tls: { ca: ours.cert, cert: own.cert, key: own.key } })).toBe('ok');
    const error = await ask(fake.server, { tls: { ca: ours.cert } });
    expect(error).toMatchObject({ reason: 'NO_CONNECTION' });
  });

  test('is reached in plaintext when it is on this machine and insecure says so', async () => {
    await using fake = await startScriptedServer(handlers);
    expect(await ask(fake.server, { tls: { ca: ours.cert }, insecure: true })).toBe('ok');
  });
});

describe('a failure of TLS', () => {
  test.each([
    ['an unknown CA', secure(theirs.issue()), 'its certificate does not come from a CA of tls.ca'],
    ['an expired certificate', secure(ours.issue({ days: -1 })), 'its certificate has expired'],
    ['a wrong name', secure(ours.issue({ names: ['plane.test'] })), 'its certificate is for other names'],
    ['a wrong address', secure(ours.issue({ names: ['127.0.0.2'] })), 'its certificate is for other names'],
    [
      'another role',
      secure(ours.issue({ uri: 'spiffe://leasehold/engine/e' })),
      'it is no server of tls.trustDomain, the certificate is of engine/e, not of a server: give it a certificate',
    ],
    [
      'no identity',
      secure(ours.issue({ uri: 'https://localhost/certificate has expired' })),
      'it is no server of tls.trustDomain, the certificate is of "https://localhost/certificate has expired", which is not of spiffe://leasehold/: give',
    ],
    ['no TLS', ServerCredentials.createInsecure(), 'it does not speak TLS: connect without tls'],
  ])('by %s says so at once, and what to do', async (_, security, says) => {
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', security);
    const error = await ask(fake.server, { tls: { ca: ours.cert } });
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', retryable: false });
    expect((error as LeaseholdError).message).toContain(`No connection to ${fake.server}: ${says}`);
  });

  test('by an old version says so', async () => {
    const { cert, key } = ours.issue();
    const server = createServer({ cert, key, maxVersion: 'TLSv1.2' });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { readonly port: number };
    const error = await ask(`127.0.0.1:${port}`, { tls: { ca: ours.cert } });
    expect((error as LeaseholdError).message).toContain('it does not speak TLS 1.3');
    server.close();
  });

  test('of a client without TLS asks for it', async () => {
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue()));
    const error = await ask(fake.server, { waitForServer: false });
    expect((error as LeaseholdError).message).toBe(
      `No connection to ${fake.server}: it ended it at once, as one that speaks TLS does: set tls`,
    );
  });

  test('who is refused for what they are is told so and not asked again', async () => {
    await using fake = await startScriptedServer({
      getStatus: (_, attempt) => refuse(attempt === 1 ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED'),
    });
    expect(await ask(fake.server)).toMatchObject({ name: 'UnauthenticatedError', retryable: false });
    expect(await ask(fake.server)).toMatchObject({ name: 'PermissionDeniedError', retryable: false });
    expect(fake.calls).toHaveLength(2);
  });
});

describe('options of TLS', () => {
  const refusal = (tls: TlsOptions, more: ConnectOptions = {}) => {
    try {
      connectWith({ tls, ...more }, fakeRuntime());
      return 'taken';
    } catch (error) {
      return String(error);
    }
  };

  test('that cannot be are refused with their names', () => {
    const { cert, key } = ours.issue();
    const ca = ours.cert;
    expect(refusal({ ca: '' })).toMatch(/^TypeError: tls\.ca is missing/);
    expect(refusal({ ca, cert })).toMatch(/tls\.key is missing/);
    expect(refusal({ ca, key })).toMatch(/tls\.cert is missing/);
    expect(refusal({ ca: '/nowhere/ca.pem' })).toMatch(/tls\.ca: "\/nowhere\/ca\.pem" cannot be read \(ENOENT\)/);
    expect(refusal({ ca: 'x'.repeat(5_000) })).toMatch(
      /^TypeError: tls\.ca: "x{61}\.\.\." cannot be read \(ENAMETOOLONG\)$/,
    );
    expect(refusal({ ca: Buffer.from('x') })).toMatch(/tls\.ca: there is no PEM in it/);
    expect(refusal({ ca, cert, key: ours.key })).toMatch(/cannot be used \(key values mismatch\)/);
    expect(refusal({ ca }, { insecureNetwork: true })).toMatch(/exclude each other/);
    expect(refusal({ ca }, { server: '10.0.0.1:7067' })).toBe('taken');
  });

  test('a refusal holds nothing of a key', () => {
    const { cert, key } = ours.issue();
    const broken = key.replace(/[A-Z]{3}(?=.*END)/, '');
    expect(refusal({ ca: ours.cert, cert, key: broken })).not.toContain(broken.slice(40, 60));
  });

  test.each([
    ['in base64', (pem: string) => Buffer.from(pem).toString('base64')],
    ['without its header', (pem: string) => pem.replaceAll(/-----.*-----\n/g, '')],
    ['in base64 and cut', (pem: string) => Buffer.from(pem).toString('base64').slice(0, 200)],
  ])('a key %s is in no refusal, nor is it when it was given for the certificate', (_, as) => {
    const { cert, key } = ours.issue();
    const secret = as(key).trim();
    for (const tls of [
      { ca: ours.cert, cert, key: secret },
      { ca: ours.cert, cert: secret, key },
    ]) {
      const said = refusal(tls);
      expect(said).toMatch(
        /^TypeError: tls\.(?:key|cert): it is no PEM, and as the path of a file it cannot be read \(E/,
      );
      for (let at = 0; at + 12 <= secret.length; at += 4) expect(said).not.toContain(secret.slice(at, at + 12));
    }
  });
});

describe('files', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'leasehold-sdk-tls-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const path = (name: string) => join(directory, name);
  /** Exchanges a file, as whoever renews certificates should. */
  const write = (name: string, content: string) => {
    writeFileSync(path(`${name}.new`), content);
    renameSync(path(`${name}.new`), path(name));
  };

  test('are named by the environment', async () => {
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue(), theirs));
    const own = theirs.issue({ names: ['engine'] });
    write('ca', ours.cert);
    write('cert', own.cert);
    write('key', own.key);
    const env = { LEASEHOLD_TLS_CA: path('ca'), LEASEHOLD_TLS_CERT: path('cert'), LEASEHOLD_TLS_KEY: path('key') };
    expect(await ask(fake.server, {}, env)).toBe('ok');
    for (const name of ['LEASEHOLD_TLS_SERVER_NAME', 'LEASEHOLD_TLS_TRUST_DOMAIN']) {
      expect(await ask(fake.server, {}, { ...env, [name]: 'other.test' })).toMatchObject({ reason: 'NO_CONNECTION' });
    }
    expect(() => connectWith({}, fakeRuntime({ LEASEHOLD_TLS_CERT: path('cert') }))).toThrow(/tls\.ca is missing/);
  });

  test('are named on the command line, as is the trust domain', async () => {
    const own = ours.issue({ uri: 'spiffe://plane.test/server/s1' });
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(own));
    write('ca', ours.cert);
    const line = `status --server ${fake.server} --tls-ca ${path('ca')}`;
    expect(await leasehold(`${line} --tls-trust-domain plane.test`)).toMatchObject({ code: 0 });
    const refused = await leasehold(line);
    expect(refused).toMatchObject({ code: 3 });
    expect(refused.stderr).toContain('it is no server of --tls-trust-domain, ');
  });

  test('that changed are in use for the next connection; what does not fit together changes nothing', async () => {
    const said: [string, LogFields][] = [];
    const logger = {
      debug: () => undefined,
      info: (message: string, fields: LogFields) => void said.push([message, fields]),
      warn: (message: string, fields: LogFields) => void said.push([message, fields]),
    };
    write('ca', theirs.cert);
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue()));
    await using leasehold = connectWith({ server: fake.server, tls: { ca: path('ca') }, logger }, fakeRuntime());
    await expect(leasehold.status()).rejects.toThrow(/does not come from a CA/);
    write('ca', 'half a file');
    await expect(leasehold.status()).rejects.toThrow(/does not come from a CA/);
    write('ca', ours.cert);
    await leasehold.status();
    expect(said.map(([message]) => message)).toEqual([
      'Keeps the old certificates',
      'Read changed certificates',
      'Connected',
    ]);
    expect(said.at(-1)?.[1]).toEqual({ server: fake.server, tls: true });
  });

  test('that cannot even be looked at change nothing, which is said once', async () => {
    const said: string[] = [];
    const say = (message: string) => void said.push(message);
    const runtime = fakeRuntime();
    mkdirSync(path('deep'));
    writeFileSync(path('deep/ca'), ours.cert);
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue()));
    const options = { tls: { ca: path('deep/ca') }, logger: { debug: say, info: say, warn: say } };
    await using leasehold = connectWith({ server: fake.server, ...options }, runtime);
    await leasehold.status();
    rmSync(path('deep'), { recursive: true });
    writeFileSync(path('deep'), '');
    for (let n = 0; n < 2; n++) {
      await runtime.wait(10_000, new AbortController().signal);
      await leasehold.status();
    }
    expect(said).toEqual(['Connected', 'Keeps the old certificates']);
  });

  test('that could not be read once are read again, though nothing of them changed', async () => {
    const runtime = fakeRuntime();
    const soon = () => runtime.wait(10_000, new AbortController().signal);
    write('ca', ours.cert);
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue()));
    await using leasehold = connectWith({ server: fake.server, tls: { ca: path('ca') } }, runtime);
    await leasehold.status();
    write('ca', theirs.cert);
    const { readFileSync } = fs;
    fs.readFileSync = () => {
      throw Object.assign(new Error('Too many'), { code: 'EMFILE' });
    };
    syncBuiltinESMExports();
    await soon();
    await leasehold.status();
    fs.readFileSync = readFileSync;
    syncBuiltinESMExports();
    await soon();
    await expect(leasehold.status()).rejects.toThrow(/does not come from a CA/);
  });

  test('that changed although their times and sizes did not are read again', async () => {
    const runtime = fakeRuntime();
    const size = Math.max(ours.cert.length, theirs.cert.length);
    const put = (content: string) => {
      writeFileSync(path('ca'), content.padEnd(size, '\n'));
      utimesSync(path('ca'), 1_000_000, 1_000_000);
    };
    put(ours.cert);
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue()));
    await using leasehold = connectWith({ server: fake.server, tls: { ca: path('ca') } }, runtime);
    await leasehold.status();
    put(theirs.cert);
    await runtime.wait(10_000, new AbortController().signal);
    await expect(leasehold.status()).rejects.toThrow(/does not come from a CA/);
  });

  test('that changed are in use soon, also by a connection that stands', async () => {
    const runtime = fakeRuntime();
    write('ca', ours.cert);
    await using fake = await startScriptedServer(handlers, '127.0.0.1:0', secure(ours.issue()));
    await using leasehold = connectWith({ server: fake.server, tls: { ca: path('ca') } }, runtime);
    await leasehold.status();
    write('ca', theirs.cert);
    await leasehold.status();
    await runtime.wait(10_000, new AbortController().signal);
    await expect(leasehold.status()).rejects.toThrow(/does not come from a CA/);
  });

  test.each([
    ['a call looks', ['', 'x']],
    ['an event comes', ['', 'y']],
  ])('that changed have watches go over to a new connection when %s', async (when, positions) => {
    const runtime = fakeRuntime();
    const changed = new AbortController();
    const bookmark = (resumeToken: string) => ({ resumeToken, event: { $case: 'bookmark', value: {} } }) as const;
    const watchEvents: Handlers['watchEvents'] = async function* (_, attempt, ended) {
      if (attempt === 1) {
        yield bookmark('x');
        await aborted(when === 'an event comes' ? changed.signal : ended);
      }
      yield bookmark('y');
      await aborted(ended);
    };
    write('ca', ours.cert);
    await using fake = await startScriptedServer({ ...handlers, watchEvents }, '127.0.0.1:0', secure(ours.issue()));
    await using leasehold = connectWith({ server: fake.server, tls: { ca: path('ca') } }, runtime);
    const events = leasehold.watch()[Symbol.asyncIterator]();
    await events.next();
    write('ca', theirs.cert + ours.cert);
    await runtime.wait(10_000, new AbortController().signal);
    if (when === 'a call looks') await leasehold.status();
    changed.abort();
    if (when === 'an event comes') await events.next();
    const next = events.next();
    // gRPC itself ends what is left on a closed channel, but not before its next ping.
    for (let calls = 0; calls < 200 && fake.requests('watchEvents').length < 2; calls++) await leasehold.status();
    expect(fake.requests('watchEvents').map(({ resumeToken }) => resumeToken)).toEqual(positions);
    expect((await next).value).toMatchObject({ resumeToken: 'y' });
  });
});
