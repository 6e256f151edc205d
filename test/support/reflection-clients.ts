// Clients that know nothing of the API but what server reflection tells them: buf curl, which the checkout has, and grpcurl.

import { join } from 'node:path';
import { WatchedProcess } from './processes.js';
import { repositoryRoot } from './repository.js';
import { type Outcome, run } from './run.js';

/** A client of one endpoint. */
export interface ReflectionClient {
  /** The services that there are. */
  services(): Promise<readonly string[]>;
  /** The methods of a service, as `SERVICE/METHOD`. */
  methods(service: string): Promise<readonly string[]>;
  /** Calls a method with a request in JSON; the answer in JSON, or the number of the status. */
  call(method: string, request: object): Promise<Answer>;
  /** Begins a call that answers as a stream. */
  open(method: string, request: object): WatchedProcess;
}

/** What came of a call. */
export type Answer =
  | { readonly ok: true; readonly body: unknown }
  | { readonly ok: false; readonly status: number; readonly told: string };

/** How a client is started. */
interface Tool {
  readonly name: string;
  readonly program: string;
  list(endpoint: string, service?: string): readonly string[];
  call(endpoint: string, method: string, request: object): readonly string[];
  statusOf(exitCode: number): number;
}

const BUF: Tool = {
  name: 'buf curl',
  program: join(repositoryRoot, 'node_modules/.bin/buf'),
  // Of all services, because for one it would ask the reflection of a server below that.
  list: (endpoint, service) => [...bufAt(endpoint, ''), service === undefined ? '--list-services' : '--list-methods'],
  call: (endpoint, method, request) => [...bufAt(endpoint, method), '--data', JSON.stringify(request)],
  statusOf: (exitCode) => exitCode / 8,
};

const GRPCURL: Tool = {
  name: 'grpcurl',
  program: 'grpcurl',
  list: (endpoint, service) => [...grpcurlAt(endpoint), 'list', ...(service === undefined ? [] : [service])],
  call: (endpoint, method, request) => ['-d', JSON.stringify(request, maskAsMessage), ...grpcurlAt(endpoint), method],
  statusOf: (exitCode) => exitCode - 64,
};

/** Of the well-known types grpcurl does not know the field mask: to it that is a message like any other. */
function maskAsMessage(key: string, value: unknown): unknown {
  return key === 'updateMask' && typeof value === 'string' ? { paths: value.split(',') } : value;
}

function bufAt(endpoint: string, path: string): readonly string[] {
  const socket = endpoint.startsWith('unix:') ? ['--unix-socket', endpoint.slice('unix:'.length)] : [];
  const host = endpoint.startsWith('unix:') ? 'localhost' : endpoint;
  return ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', ...socket, `http://${host}/${path}`];
}

function grpcurlAt(endpoint: string): readonly string[] {
  // Not by its flag -unix, which version 1.9.3 dials by TCP.
  return ['-plaintext', endpoint.replace(/^unix:/, 'unix://')];
}

/** The clients that are here. */
export async function reflectionTools(): Promise<readonly Tool[]> {
  const { code } = await run(GRPCURL.program, ['-version']);
  return code === 0 ? [BUF, GRPCURL] : [BUF];
}

/** A client of an endpoint, as `connect` takes it. */
export function reflectionClient(tool: Tool, endpoint: string): ReflectionClient {
  const list = async (service?: string) => {
    const { code, stdout, stderr } = await run(tool.program, tool.list(endpoint, service));
    if (code !== 0) throw new Error(`${tool.name} lists nothing: ${stderr}`);
    return stdout.trim().split('\n');
  };
  return {
    services: () => list(),
    methods: async (service) => {
      const names = (await list(service)).filter((name) => name.startsWith(service));
      // One of the two puts a dot before the name of a method, the other a slash.
      return names.map((name) => `${service}/${name.slice(service.length + 1)}`);
    },
    call: async (method, request) => answerOf(tool, await run(tool.program, tool.call(endpoint, method, request))),
    open: (method, request) => new WatchedProcess(tool.program, tool.call(endpoint, method, request)),
  };
}

function answerOf(tool: Tool, { code, stdout, stderr }: Outcome): Answer {
  if (code === 0) return { ok: true, body: JSON.parse(stdout) as unknown };
  return { ok: false, status: tool.statusOf(code), told: stderr };
}
