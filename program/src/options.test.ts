import { describe, expect, test } from 'vitest';
import { durationWithin, oneOf, parseListen, parseText } from './option-values.js';
import { list, type OptionSources, optionalValue, readOptions, requiredValue, toggle, value } from './options.js';

const program = {
  name: 'leasehold-thing',
  version: '1.2.3',
  summary: 'Does things.',
  examples: ['leasehold-thing --insecure'],
  options: {
    listen: list({ unit: 'host:port', help: 'where to listen', parse: parseListen, default: ['127.0.0.1:7067'] }),
    authority: value({
      unit: 'duration',
      help: 'how long agents answer alone',
      parse: durationWithin({ min: 60_000, max: 604_800_000 }),
      default: '24h',
    }),
    logFormat: value({
      unit: 'json|pretty',
      help: 'how lines look',
      parse: oneOf(['json', 'pretty']),
      default: 'json',
    }),
    tlsCert: optionalValue({ unit: 'file', help: 'certificate', parse: parseText }),
    insecure: toggle({ help: 'no TLS on loopback' }),
  },
};

function read(args: readonly string[], sources: Partial<OptionSources> = {}) {
  return readOptions(program, { args, env: {}, ...sources });
}

function run(args: readonly string[], sources: Partial<OptionSources> = {}) {
  const invocation = read(args, sources);
  if (invocation.kind !== 'run') throw new Error(JSON.stringify(invocation));
  return invocation.options;
}

function usageError(args: readonly string[], sources: Partial<OptionSources> = {}): string {
  const invocation = read(args, sources);
  if (invocation.kind !== 'usage-error') throw new Error(`no usage error: ${JSON.stringify(invocation)}`);
  return invocation.message;
}

const config = (content: unknown) => ({ readFile: () => JSON.stringify(content) });

describe('precedence', () => {
  test('without any source, the defaults hold and what has none is absent', () => {
    expect(run([])).toEqual({
      listen: [{ kind: 'tcp', host: '127.0.0.1', port: 7067 }],
      authority: 86_400_000,
      logFormat: 'json',
      tlsCert: undefined,
      insecure: false,
    });
  });

  test('flag wins over environment, environment over config file, config file over default', () => {
    const file = config({ authority: '1h', 'log-format': 'pretty', 'tls-cert': 'file.pem' });
    const env = { LEASEHOLD_CONFIG: 'x.json', LEASEHOLD_AUTHORITY: '2h', LEASEHOLD_TLS_CERT: 'env.pem' };
    const options = run(['--authority', '3h'], { env, ...file });
    expect(options).toMatchObject({ authority: 10_800_000, tlsCert: 'env.pem', logFormat: 'pretty' });
  });

  test('a list given by one source replaces the lists of the others', () => {
    const env = { LEASEHOLD_LISTEN: '127.0.0.1:1, unix:a.sock' };
    expect(run([], { env }).listen).toHaveLength(2);
    expect(run(['--listen', 'unix:b', '--listen=unix:c'], { env }).listen).toEqual([
      { kind: 'unix', path: 'b' },
      { kind: 'unix', path: 'c' },
    ]);
    expect(run(['--config', 'x'], config({ listen: ['unix:d'] })).listen).toEqual([{ kind: 'unix', path: 'd' }]);
  });

  test('the last of a repeated single flag holds', () => {
    expect(run(['--authority', '1h', '--authority', '2h']).authority).toBe(7_200_000);
  });

  test('an empty environment variable is an unset one', () => {
    expect(run([], { env: { LEASEHOLD_AUTHORITY: '' } }).authority).toBe(86_400_000);
  });

  test('a toggle is switched by flag, environment and config file', () => {
    expect(run(['--insecure']).insecure).toBe(true);
    expect(run([], { env: { LEASEHOLD_INSECURE: '1' } }).insecure).toBe(true);
    expect(run(['--config', 'x'], config({ insecure: true })).insecure).toBe(true);
    expect(
      run(['--config', 'x'], { env: { LEASEHOLD_INSECURE: 'false' }, ...config({ insecure: true }) }).insecure,
    ).toBe(false);
  });
});

describe('a mistake is one line that names its source', () => {
  test.each([
    [['--lisen', 'unix:x'], 'unknown option --lisen, the nearest is --listen'],
    [['--insecure-networking=1'], 'unknown option --insecure-networking, the nearest is --insecure'],
    [['--authority'], "option '--authority <duration>' argument missing"],
    [['--authority', '5y'], '--authority "5y": expected a duration like 500ms, 30s, 15m, 24h or 90d'],
    [['--authority', '1s'], '--authority "1s": must be at least 1m'],
    [['--log-format', 'prety'], '--log-format "prety": expected json or pretty, the nearest is pretty'],
    [['--listen', '7067'], '--listen: "7067": expected HOST:PORT, [IPV6]:PORT or unix:PATH'],
    [['start'], 'too many arguments. Expected 0 arguments but got 1.'],
  ])('%j', (args, message) => {
    expect(usageError(args)).toBe(message);
  });

  test('in the environment', () => {
    expect(usageError([], { env: { LEASEHOLD_AUTHORITY: '9d' } })).toBe('LEASEHOLD_AUTHORITY "9d": must be at most 7d');
  });

  test('in the config file', () => {
    const args = ['--config', 'c.json'];
    expect(usageError(args, config({ authorty: '1h' }))).toBe(
      'c.json: unknown key "authorty", the nearest is authority',
    );
    expect(usageError(args, config({ authority: '1s' }))).toBe('c.json: authority "1s": must be at least 1m');
    expect(usageError(args, config({ authority: ['1h'] }))).toBe('c.json: authority: expected one value');
    expect(usageError(args, config([]))).toBe('--config c.json: expected a JSON object');
    expect(usageError(args, { readFile: () => '{' })).toMatch(/^--config c\.json: .*JSON/);
    expect(usageError(['--config', '/nonexistent'])).toMatch(/^--config \/nonexistent: ENOENT/);
  });

  test('a required option that no source gives names its flag and its variable', () => {
    const options = { server: list({ unit: 'host:port', help: 'server', parse: parseText, required: true }) };
    const sources = { args: [], env: {} };
    expect(readOptions({ ...program, options }, sources)).toEqual({
      kind: 'usage-error',
      message: '--server is required (or set LEASEHOLD_SERVER)',
    });
    const single = { hostId: requiredValue({ unit: 'id', help: 'id', parse: parseText }) };
    expect(readOptions({ ...program, options: single }, sources)).toMatchObject({ kind: 'usage-error' });
  });
});

describe('what is printed', () => {
  test('help shows unit, default and variable of each option, and examples, whatever else is wrong', () => {
    const help = read(['--authority', 'bad', '--help']);
    if (help.kind !== 'print') throw new Error(help.kind);
    const text = help.text.replaceAll(/\s+/g, ' ');
    expect(text).toContain(
      '--authority <duration> how long agents answer alone (default: 24h; env: LEASEHOLD_AUTHORITY)',
    );
    expect(text).toContain('where to listen (repeatable; default: 127.0.0.1:7067; env: LEASEHOLD_LISTEN)');
    expect(text).toContain('(default: none; env: LEASEHOLD_TLS_CERT)');
    expect(text).toContain('--config <file>');
    expect(text).toContain('Examples: $ leasehold-thing --insecure');
  });

  test('version is the version alone', () => {
    expect(read(['--version'])).toEqual({ kind: 'print', text: '1.2.3\n' });
  });
});
