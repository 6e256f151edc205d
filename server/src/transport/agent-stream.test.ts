// An agent that does not read, over a real connection.

import { type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { HostAgentServiceClient, HostAgentServiceService } from '@leasehold/proto/ipam/v1/host_agent_service';
import { type SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IpamError } from '../domain/errors.js';
import { type AgentStreams, hostAgentHandlers } from './agent-stream.js';
import { AGENT_LIMITS, type Listener, listen } from './listener.js';
import { readDescriptors } from './reflection.js';

type Link = Parameters<AgentStreams['open']>[0];

let listener: Listener;
let client: HostAgentServiceClient;
let agent: ClientDuplexStream<SessionRequest, SessionResponse>;
let link: Link;
let closed: Promise<void>;

beforeEach(async () => {
  let over = () => {};
  closed = new Promise((resolve) => {
    over = resolve;
  });
  let onOpen: (each: Link) => void = () => {};
  const opened = new Promise<Link>((resolve) => {
    onOpen = resolve;
  });
  const handlers = hostAgentHandlers({
    open(each) {
      onOpen(each);
      return { receive: () => undefined, closed: over };
    },
  });
  const service = { name: 'ipam.v1.HostAgentService', definition: HostAgentServiceService, handlers };
  const anyPort = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
  listener = await listen([anyPort], service, AGENT_LIMITS, readDescriptors());
  const [endpoint] = listener.endpoints;
  if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
  client = new HostAgentServiceClient(`127.0.0.1:${endpoint.port}`, credentials.createInsecure());
  agent = client.session();
  agent.on('error', () => undefined);
  agent.write({ message: undefined });
  link = await opened;
});

afterEach(async () => {
  agent.cancel();
  client.close();
  await listener.drain(0);
});

/** Says `count` messages of more than 1 kB, each with its number. */
function say(count: number): void {
  for (let i = 0; i < count; i++) {
    const value = { sequence: BigInt(i), networkId: 'x'.repeat(1_000) };
    link.send(SessionResponse.fromPartial({ message: { $case: 'delivery', value } }));
  }
}

/** Reads until the stream ends; answers the numbers of what was said, and how it ended. */
async function readAll(): Promise<{ readonly numbers: readonly number[]; readonly error: ServiceError | undefined }> {
  const numbers: number[] = [];
  agent.on('data', ({ message }: SessionResponse) => {
    if (message?.$case === 'delivery') numbers.push(Number(message.value.sequence));
  });
  const error = await new Promise<ServiceError | undefined>((resolve) => {
    agent.on('error', resolve as (error: Error) => void);
    agent.on('end', () => resolve(undefined));
  });
  return { numbers, error };
}

test('an agent that reads late gets all that was said to it, in order', async () => {
  say(5_000);
  const reading = readAll();
  const numbers: number[] = [];
  await new Promise<void>((resolve) => {
    agent.on('data', ({ message }: SessionResponse) => {
      if (message?.$case === 'delivery' && numbers.push(Number(message.value.sequence)) === 5_000) resolve();
    });
  });
  expect(numbers).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
  link.end(undefined);
  expect((await reading).error).toBeUndefined();
});

test('an agent that leaves thousands of messages unread is ended, and what waited is not sent any more', async () => {
  say(50_500);
  await closed;
  const { numbers, error } = await readAll();
  expect([error?.code, error?.details]).toEqual([status.RESOURCE_EXHAUSTED, expect.stringContaining('too slow')]);
  expect(numbers.length).toBeLessThan(100);
});

test('a refusal is not held up by what was said before it', async () => {
  say(5_000);
  link.end({ kind: 'session-superseded', message: 'Gone', metadata: {}, violations: [] } satisfies IpamError);
  const { numbers, error } = await readAll();
  expect(error?.code).toBe(status.ABORTED);
  expect(numbers.length).toBeLessThan(100);
});
