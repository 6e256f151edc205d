// The listener's process, in the namespace of a wire: `wire-listener-program IFACE INDEX`. A line of JSON for every answer of
// a server, and for every RELEASE and DECLINE. It sends nothing.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { parseFrame } from '@leasehold/agent/sentinel/frames';
import { systemFrameSockets } from '@leasehold/agent/system/frame-sockets';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { WireMessage } from './wire-listener.js';

const LOOK_EVERY_MS = 2;
const KINDS = new Map<number | undefined, WireMessage['kind']>([
  [MESSAGE_TYPE.offer, 'offer'],
  [MESSAGE_TYPE.ack, 'ack'],
  [MESSAGE_TYPE.nak, 'nak'],
  [MESSAGE_TYPE.release, 'release'],
  [MESSAGE_TYPE.decline, 'decline'],
]);

const [name = '', index = ''] = process.argv.slice(2);
const socket = systemFrameSockets.open({ name, index: Number(index) });
if (!socket.ok) throw new Error(socket.problem);
const { value } = socket;
process.stdout.write('listening\n');

setInterval(() => {
  for (let frame = value.read(); frame !== undefined; frame = value.read()) {
    if (frame === 'broken') throw new Error(`${name} cannot be heard`);
    const heard = parseFrame(frame);
    if (heard?.kind !== 'dhcp') continue;
    const { message, sourceMac } = heard;
    const kind = KINDS.get(message.options.get(OPTION.messageType)?.[0]);
    if (kind === undefined) continue;
    const id = Buffer.from(message.options.get(OPTION.serverId) ?? Buffer.alloc(4));
    const line: WireMessage = {
      kind,
      mac: message.mac,
      address: formatIpv4(message.yiaddr),
      serverId: formatIpv4(id.readUInt32BE(0) as Ipv4),
      sourceMac,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}, LOOK_EVERY_MS);
