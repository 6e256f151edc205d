// An agent whose server says whatever, in virtual time: it must not fall over, and must serve again once a server speaks sense.
//
//   G1. Only what decodes reaches an agent: the rest ends the stream in the library.
//   G2. What is hostile is said within a session that began well: who may dictate an epoch or an authority is trusted with it.

import type { DescMessage } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { createAgent } from '@leasehold/agent/agent';
import { StateStore } from '@leasehold/agent/state/state-store';
import { SessionEpoch, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { AgentWorld } from '../fakes/agent-world.js';
import { assignmentOf, entryOf, type ScriptedSession } from '../fakes/scripted-server.js';
import { seededNumbers } from '../fakes/seeded-numbers.js';
import { type Chance, hostileMessage, pick } from './hostile-message.js';
import { messageType } from './wire-contract.js';

/** What came of it. */
export interface AgentFuzzReport {
  /** How many inputs decoded, and so were said. */
  readonly said: number;
  /** Sessions that the agent ended because of what it was told. */
  readonly ended: number;
  /** What guests of `red` get when a server spoke sense again. */
  readonly answers: readonly string[];
}

const RESPONSE = messageType('ipam.v1.SessionResponse');
// More than the longest pause before an agent dials again, and as long as it may be told to wait.
const DIALS_WITHIN_MS = 3_610_000;
const LAST_EPOCH = 1_000_000_000n;

/** Says so many inputs, from this seed on. */
export async function fuzzAgent(inputs: number, seed: number): Promise<AgentFuzzReport> {
  const world = makeWorld();
  await world.start();
  let [said, ended, counter] = [0, 0, 1n];
  for (let n = 0; n < inputs; n++) {
    const chance = seededNumbers(seed + n);
    // The first number of neighbouring seeds is alike.
    chance();
    if (world.session.closedByAgent || n === 0) {
      if (n > 0) await dialsAgain(world);
      counter += 1n;
      await world.welcome({ counter });
      if (chance() < 0.5) await world.deliverRed(counter);
    }
    const { session } = world;
    const response = decoded(hostileResponse(session, chance));
    if (!response) continue;
    said++;
    session.say(response);
    await world.clock.advance(chance() < 0.1 ? 1_000 : 0);
    if (session.closedByAgent) ended++;
  }
  return { said, ended, answers: await answersAtLast(world) };
}

async function dialsAgain(world: AgentWorld): Promise<void> {
  const { session } = world;
  for (let waitedMs = 0; world.session === session; waitedMs += 5_000) {
    if (waitedMs > DIALS_WITHIN_MS) throw new Error('The agent does not dial again');
    await world.clock.advance(5_000);
  }
}

async function answersAtLast(world: AgentWorld): Promise<readonly string[]> {
  if (!world.session.closedByAgent) world.session.drop();
  await dialsAgain(world);
  await world.welcome({ counter: LAST_EPOCH });
  const { session } = world;
  for (const { networkId, placementEpoch } of session.hello[0]?.tables ?? []) {
    session.deliver(networkId, placementEpoch, { $case: 'unassignment', value: {} });
  }
  await world.clock.advance(0);
  session.deliverTable('red', LAST_EPOCH, assignmentOf('last'), [entryOf(10)]);
  await world.clock.advance(0);
  return world.backend.answers('red');
}

function makeWorld(): AgentWorld {
  return new AgentWorld(({ clock, entropy, log, files, server, wire, backend, readLink, bootId }) =>
    createAgent(
      {
        ...{ clock, entropy, log, backend, readLink, transport: server, frameSockets: wire },
        state: new StateStore({ files, entropy, log }),
      },
      { hostId: 'h1', servers: ['a'], failureDomain: '', agentVersion: '0', bootId },
    ),
  );
}

/** A message of this session, but for a second welcome (G2). */
function hostileResponse(session: ScriptedSession, chance: Chance): Uint8Array {
  const [first, ...others] = RESPONSE.fields.filter(({ name }) => name !== 'welcome');
  if (!first) throw new Error('SessionResponse has no fields');
  const field = pick(chance, [first, ...others]);
  if (!field.message) throw new Error('SessionResponse is made of messages');
  const inner = Buffer.concat([hostileMessage(field.message, chance), ofSession(field.message, session, chance)]);
  return new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(inner).finish();
}

/** The last of a field counts: what makes a message one of the session, most of the time. */
function ofSession(type: DescMessage, { terms }: ScriptedSession, chance: Chance): Uint8Array {
  const writer = new BinaryWriter();
  const { holderEpoch, counter } = terms;
  for (const { name, number } of type.fields) {
    if (chance() < 0.1) continue;
    if (name === 'session_epoch') {
      const epoch = SessionEpoch.encode(SessionEpoch.fromPartial({ holderEpoch, counter })).finish();
      writer.tag(number, WireType.LengthDelimited).bytes(epoch);
    } else if (name === 'network_id')
      writer.tag(number, WireType.LengthDelimited).string(pick(chance, ['red', 'blue']));
    else if (name === 'placement_epoch') writer.tag(number, WireType.Varint).uint64(counter);
  }
  return writer.finish();
}

/** What the library hands on; undefined: it ends the stream. */
function decoded(bytes: Uint8Array): SessionResponse | undefined {
  try {
    return SessionResponse.decode(bytes);
  } catch {
    return undefined;
  }
}
