// The mistakes that the checks of stores catch, and which check does. One that was made, or nearly, belongs here.

import type { Mutant } from './mutants.js';

/** A mistake, and the check that catches it, by the beginning of its name. */
export interface Case extends Mutant {
  readonly caughtBy: string;
}

/** Of the embedded store. */
export const EMBEDDED_MUTANTS: readonly Case[] = [
  {
    name: 'a MAC may have two addresses',
    file: 'slots.ts',
    edit: ["if (state !== 'reserved') return undefined;", 'if (state) return undefined;'],
    caughtBy: 'of many inserts of one MAC',
  },
  {
    name: 'an address may have two slots',
    file: 'slots.ts',
    edit: ["if (taken) return { outcome: { kind: 'taken', slot: taken }, network };", ''],
    caughtBy: 'of many inserts of one address',
  },
  {
    name: 'a request may make two tenures',
    file: 'tenures.ts',
    edit: ['if (known && known.reservationId !== tenure.reservationId) return known;', ''],
    caughtBy: 'one request makes one tenure',
  },
  {
    name: 'a revision is not looked at',
    file: 'slots.ts',
    edit: ['const isStill = before?.revision === slot.revision && before', 'const isStill = before && before'],
    caughtBy: 'a slot is replaced by whoever saw its latest revision',
  },
  {
    name: 'a tenure is not looked at',
    file: 'slots.ts',
    edit: [
      'before?.revision === slot.revision && before.reservationId === reservationId;',
      'before?.revision === slot.revision;',
    ],
    caughtBy: 'a write that comes late meets its tenure or nothing',
  },
  {
    name: 'history is not written before an overwrite',
    file: 'slots.ts',
    edit: ['if (ended) tenures.putEnded(ended, before);', ''],
    caughtBy: 'an ended tenure is in history',
  },
  {
    name: 'history is not written before a removal',
    file: 'slots.ts',
    edit: ['tenures.putEnded(ended, before);\n        tables.slots.remove', 'tables.slots.remove'],
    caughtBy: 'an ended tenure is in history',
  },
  {
    name: 'a RESERVED slot is freed',
    file: 'slots.ts',
    edit: ["if (!isStill || before.state !== 'quarantined') return 'conflict';", "if (!isStill) return 'conflict';"],
    caughtBy: 'what is RESERVED or was changed since is not freed',
  },
  {
    name: 'a released address still keeps its MAC',
    file: 'slots.ts',
    edit: ["setHeld(tables, slot, slot.state === 'reserved')", 'setHeld(tables, slot, true)'],
    caughtBy: 'a quarantined address blocks its address, not its MAC',
  },
  {
    name: 'the writer has its answer before followers hear',
    file: 'group-commit.ts',
    edit: [
      'this.#options.onDurable(staged);\n        await this.#answer(jobs);',
      'await this.#answer(jobs);\n        await setImmediate();\n        this.#options.onDurable(staged);',
    ],
    caughtBy: 'a follower hears every change, in the order of the writes, before the writer',
  },
  {
    name: 'an answer comes before the flush',
    file: 'group-commit.ts',
    edit: [
      'await this.#options.flush();',
      'for (const job of jobs) job.resolve();\n        await this.#options.flush();',
    ],
    caughtBy: 'no answer before the flush',
  },
  {
    name: 'writes go on after a failed flush',
    file: 'group-commit.ts',
    edit: ['this.#refusal = refusal;', ''],
    caughtBy: 'nothing is written after a failed flush',
  },
  {
    name: 'a snapshot is of the moment it is read',
    file: 'snapshot.ts',
    edit: [
      'for (const { key, value } of table.range(atOnce, start, range.end, moment)) {',
      'for (const { key, value } of table.range(atOnce, start, range.end)) {',
    ],
    caughtBy: 'a snapshot is of one moment',
  },
  {
    name: 'a subnet id may be in two networks',
    file: 'networks.ts',
    edit: ["if (owners.some((owner) => owner !== network.networkId)) return 'subnet-taken';", ''],
    caughtBy: 'a subnet id belongs to one network',
  },
  {
    name: 'the last reason to hold still stays',
    file: 'embedded-store.ts',
    edit: ['joined(before.holdStill, because)', 'because'],
    caughtBy: 'why it holds still is kept',
  },
  {
    name: 'a change of a setting undoes another',
    file: 'embedded-store.ts',
    edit: ['staged = next(staged);', 'staged = next(settings);'],
    caughtBy: 'why it holds still is kept',
  },
  {
    name: 'an audit event is stored though its change met something else',
    file: 'networks.ts',
    edit: [
      'if (!isStill(before, { uid: over.uid, revision: network.revision }))',
      'putEvent(tables, event);\n        if (!isStill(before, { uid: over.uid, revision: network.revision }))',
    ],
    caughtBy: 'an audit event is there if its change is',
  },
  {
    name: 'the end of a host has no audit event',
    file: 'hosts.ts',
    edit: ['hosts.remove(idKey(hostId));\n        putEvent(tables, event);', 'hosts.remove(idKey(hostId));'],
    caughtBy: 'an audit event is there if its change is',
  },
  {
    name: 'an amended reservation is not looked at',
    file: 'slots.ts',
    edit: ['|| before.reservationId !== slot.reservationId) return', '|| before.address !== slot.address) return'],
    caughtBy: 'an audit event is there if its change is',
  },
  {
    name: 'history is not found by when it was released',
    file: 'keys.ts',
    edit: ["(moment === 'createTime' ? 'c' : 'r')", "(moment === 'createTime' ? 'c' : 'c')"],
    caughtBy: 'history is listed by when tenures were reserved',
  },
];

/** Of the store on MongoDB. */
export const MONGODB_MUTANTS: readonly Case[] = [
  {
    name: 'no unique index on MACs',
    file: 'schema.ts',
    edit: [
      'key: { network_id: 1, family: 1, mac: 1 },\n      unique: true,',
      'key: { network_id: 1, family: 1, mac: 1 },',
    ],
    caughtBy: 'of many inserts of one MAC',
  },
  {
    name: 'no unique index on requests',
    file: 'schema.ts',
    edit: ['key: { request_keys: 1 },\n      unique: true,', 'key: { request_keys: 1 },'],
    caughtBy: 'one request makes one tenure',
  },
  {
    name: 'no unique index on subnet ids',
    file: 'schema.ts',
    edit: ["key: { 'subnets.subnet_id': 1 },\n      unique: true,", "key: { 'subnets.subnet_id': 1 },"],
    caughtBy: 'a subnet id belongs to one network',
  },
  {
    name: 'one node is enough for a write',
    file: 'exchange.ts',
    edit: ["writeConcern: { w: 'majority', j: true }", 'writeConcern: { w: 1, j: true }'],
    caughtBy: 'every write waits for a majority',
  },
  {
    name: 'a write need not be journaled',
    file: 'exchange.ts',
    edit: ["writeConcern: { w: 'majority', j: true }", "writeConcern: { w: 'majority', j: false }"],
    caughtBy: 'every write waits for a majority',
  },
  {
    name: 'a read sees what no majority has',
    file: 'exchange.ts',
    edit: ["const readConcern = { level: 'majority' };", "const readConcern = { level: 'local' };"],
    caughtBy: 'every write waits for a majority',
  },
  {
    name: 'a read is not causally after what was acknowledged',
    file: 'exchange.ts',
    edit: ['if (this.#operationTime) session.advanceOperationTime(this.#operationTime);', ''],
    caughtBy: 'every write waits for a majority',
  },
  {
    name: 'an insert does not know its own echo',
    file: 'slot-writes.ts',
    edit: ['if (there?.reservationId === slot.reservationId) outcomes', 'if (!there && lost.length === 0) outcomes'],
    caughtBy: 'an insert whose answer is lost',
  },
  {
    name: 'a replacement does not know its own echo',
    file: 'slot-writes.ts',
    edit: ["return beganTenure || there.document['write'] === mark;", 'return beganTenure && mark === undefined;'],
    caughtBy: 'a replacement whose answer is lost',
  },
  {
    name: 'a replacement that began a tenure is known by its mark only, which the next one overwrote',
    file: 'slot-writes.ts',
    edit: [
      "return beganTenure || there.document['write'] === mark;",
      "return there.document['write'] === (beganTenure ? mark : mark);",
    ],
    caughtBy: 'a replacement that began a tenure finds itself',
  },
  {
    name: 'a removal does not know its own echo',
    file: 'slot-writes.ts',
    edit: ['attempt > 1 ? await inHistory', 'attempt > 99 ? await inHistory'],
    caughtBy: 'a removal of a slot whose answer is lost',
  },
  {
    name: 'a network does not know its own echo',
    file: 'resources.ts',
    edit: [
      "return there?.['write'] === document['write'] ? 'written' : otherwise;",
      'return there ? otherwise : otherwise;',
    ],
    caughtBy: 'a new network whose answer is lost',
  },
  {
    name: 'a removed network does not know its own echo',
    file: 'resources.ts',
    edit: ["attempt > 1 && there?.['uid'] !== uid", "attempt > 99 && there?.['uid'] !== uid"],
    caughtBy: 'a removal of a network whose answer is lost',
  },
  {
    name: 'an unknown outcome is not repeated',
    file: 'exchange.ts',
    edit: ['const REPEAT_FOR_MS = 20_000;', 'const REPEAT_FOR_MS = 0;'],
    caughtBy: 'an insert whose answer is lost',
  },
  {
    name: 'history is not written before an overwrite',
    file: 'slot-writes.ts',
    edit: ['if (ended.length > 0) await writeHistory(talk, ended);', ''],
    caughtBy: 'an ended tenure is in history',
  },
  {
    name: 'history is written after the overwrite',
    file: 'slot-writes.ts',
    edit: [
      'if (ended.length > 0) await writeHistory(talk, ended);',
      'setTimeout(() => void writeHistory(talk, ended).catch(() => undefined), 50);',
    ],
    caughtBy: 'history is written before the slot',
  },
  {
    name: 'a revision is not looked at by an overwrite',
    file: 'slot-writes.ts',
    edit: ['q: { _id: slotId(slot), revision: slot.revision, ', 'q: { _id: slotId(slot), '],
    caughtBy: 'a slot is replaced by whoever saw its latest revision',
  },
  {
    name: 'a tenure is not looked at by an overwrite',
    file: 'slot-writes.ts',
    edit: [', reservation_id: (before ?? slot).reservationId },', ' },'],
    caughtBy: 'a write that comes late meets its tenure or nothing',
  },
  {
    name: 'a network made anew is taken for the one before',
    file: 'resources.ts',
    edit: ["q: { _id: document['_id'] as string, uid, revision }", "q: { _id: document['_id'] as string, revision }"],
    caughtBy: 'a network or host that was made anew',
  },
  {
    name: 'a state is not looked at by a removal',
    file: 'slot-writes.ts',
    edit: [
      "const before = await standing(talk, { _id: { $in: ids }, state: 'QUARANTINED' });",
      'const before = await standing(talk, { _id: { $in: ids } });',
    ],
    caughtBy: 'what is RESERVED or was changed since is not freed',
  },
  {
    name: 'what is in the way is told by a primary that may be none',
    file: 'slot-writes.ts',
    edit: ['if (!isFenced) await writeFence(talk);', ''],
    caughtBy: 'what stands in the way of a write that lost',
  },
  {
    name: 'a confirmed read is not confirmed',
    file: 'slot-reads.ts',
    edit: ['await writeFence(talk);\n        return getAll', 'return getAll'],
    caughtBy: 'what stands in the way of a write that lost',
  },
  {
    name: 'a MAC is looked up without confirmation',
    file: 'slot-reads.ts',
    edit: ['await writeFence(talk);\n        return findMacs', 'return findMacs'],
    caughtBy: 'what stands in the way of a write that lost',
  },
  {
    name: 'a network is not read after a write of its slots',
    file: 'network-cache.ts',
    edit: ['if (known && known.write === write) found', "if (known && write !== '') found"],
    caughtBy: 'a write of a slot sees the network as another server left it',
  },
  {
    name: 'the writer of a network has its answer before this process saw it',
    file: 'resources.ts',
    edit: ["if (outcome === 'written') await seen.wait();", ''],
    caughtBy: 'who writes a network or a host has its answer after',
  },
  {
    name: 'a stream that broke begins where the first one began',
    file: 'change-feed.ts',
    edit: ['from = { after: batch.position };', ''],
    caughtBy: 'a follower whose stream breaks',
  },
  {
    name: 'a read of changes ends at the first pause',
    file: 'change-feed.ts',
    edit: ['if (isEnd && (until === undefined || position >= until)) return;', 'if (isEnd) return;'],
    caughtBy: 'changes that a follower heard are read also where they come late',
  },
  {
    name: 'the changes of a snapshot are told again',
    file: 'snapshot.ts',
    edit: ['i: time.i + 1', 'i: time.i'],
    caughtBy: 'a snapshot is of one moment',
  },
  {
    name: 'a request is not looked for in history after the write',
    file: 'slot-writes.ts',
    edit: ['await findEarlier(talk, slots, outcomes, (slot) => slot);', ''],
    caughtBy: 'a request whose tenure is over makes no other',
  },
  {
    name: 'a request is not looked for in history',
    file: 'slot-reads.ts',
    edit: ["await findAll(talk, 'history', filter)).map(readEnded)", '[] as Document[]).map(readEnded)'],
    caughtBy: 'a request leads to the tenure',
  },
  {
    name: 'the lead is taken from whoever renews it',
    file: 'holder.ts',
    edit: ['{ epoch: seen.epoch, beat: seen.beat }', '{}'],
    caughtBy: 'of many that take the lead one gets it',
  },
  {
    name: 'the last reason to hold still stays',
    file: 'hold-still.ts',
    edit: ['{ _id: ID, hold_still: { $exists: false } }', '{ _id: ID }'],
    caughtBy: 'why it holds still is kept',
  },
  {
    name: 'what the database ended for its time is taken for its failure',
    file: 'moments.ts',
    edit: ['error.code === MAX_TIME_MS_EXPIRED', 'error.code === 0'],
    caughtBy: 'a look at tenures that the database ends',
  },
  {
    name: 'a change is stored without its audit event',
    file: 'audit.ts',
    edit: ['talk.writeTogether([insert, command])', 'talk.writeTogether([command, command].slice(insert ? 1 : 0))'],
    caughtBy: 'an audit event is there if its change is',
  },
  {
    name: 'an audit event is stored beside its change',
    file: 'audit.ts',
    edit: [
      '(await talk.writeTogether([insert, command]))',
      '((await talk.writeTogether([insert])) && (await talk.writeTogether([command])))',
    ],
    caughtBy: 'an audit event is there if its change is',
  },
  {
    name: 'an audited change does not know its own echo',
    file: 'audit.ts',
    edit: ['const filter = { _id: eventId, write: mark };', "const filter = { _id: eventId, write: mark + '?' };"],
    caughtBy: 'a change of a network with its audit event whose answer is lost',
  },
  {
    name: 'an audited change takes the event of another for its own',
    file: 'audit.ts',
    edit: ['const filter = { _id: eventId, write: mark };', 'const filter = mark ? { _id: eventId } : {};'],
    caughtBy: 'of many that change one thing at once one wins',
  },
  {
    name: 'one node is enough for an audited change',
    file: 'exchange.ts',
    edit: ['writeConcern: MAJORITY });', 'writeConcern: { w: 1 } });'],
    caughtBy: 'a change and its audit event are one transaction',
  },
];
