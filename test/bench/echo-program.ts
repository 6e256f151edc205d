// Sends every DHCP message straight back, as an OFFER or ACK: the socket and the processor time of the builtin responder
// without its decisions.

import { systemSockets } from '@leasehold/agent/backends/builtin/system-sockets';
import { MESSAGE_TYPE } from '@leasehold/agent/domain/dhcp/codes';
import type { Ipv4 } from '@leasehold/proto/values';
import { childArgument } from './child.js';
import { AT } from './exchange-messages.js';

const BROADCAST = 0xffffffff as Ipv4;
const REPLY = 2;

const { interfaceName } = childArgument<{ readonly interfaceName: string }>();
const opened = await systemSockets.open(
  { name: interfaceName, index: 0 },
  {
    onMessage: (bytes) => {
      bytes[0] = REPLY;
      bytes[AT.messageType] = bytes[AT.messageType] === MESSAGE_TYPE.discover ? MESSAGE_TYPE.offer : MESSAGE_TYPE.ack;
      if (opened.ok) opened.value.send(bytes, BROADCAST, () => undefined);
    },
    onBroken: (reason) => {
      throw new Error(reason);
    },
  },
);
if (!opened.ok) throw new Error(opened.problem);
console.log('echo is ready');
