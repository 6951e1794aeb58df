/**
 * Cuts one direction of a PostgreSQL connection into its messages, and knows which statement a message runs.
 *
 * Exports: `Message`, `Framer`.
 */

/** Which way bytes go: from the client (`frontend`) or from the server (`backend`). */
export type Direction = "frontend" | "backend"

/** One message of the PostgreSQL protocol. */
export interface Message {
  readonly direction: Direction
  /**
   * The message's type byte (`Q`, `P`, `B`, `E`, `S`, `C`, `Z`, ...), or one of `startup`, `sslRequest`, `gssRequest`,
   * `cancelRequest`, `sslAnswer`; `opaque` for bytes that cannot be read (TLS, or no PostgreSQL at all).
   */
  readonly type: string
  readonly bytes: Buffer
  /** Without type byte and length. */
  readonly body: Buffer
  /**
   * Frontend. The texts it runs: of `Q` its text, of `E` (Execute) the text behind its portal; of `S` (Sync) those of
   * all Executes since the last one.
   */
  readonly statements: ReadonlyArray<string>
}

const requestTypes: Readonly<Record<number, string>> = {
  80877102: "cancelRequest",
  80877103: "sslRequest",
  80877104: "gssRequest"
}

const cString = (body: Buffer, from: number): string => {
  const end = body.indexOf(0, from)
  return body.toString("utf8", from, end < 0 ? body.length : end)
}

/** The state of one connection's protocol, for both directions. */
export class Framer {
  private readonly pending: Record<Direction, Buffer> = { frontend: Buffer.alloc(0), backend: Buffer.alloc(0) }
  private readonly statements = new Map<string, string>()
  private readonly portals = new Map<string, string>()
  private unsynced: Array<string> = []
  private started = false
  /** The server answers an SSLRequest or GSSENCRequest with one byte without a length. */
  private answersDue = 0
  private opaque: boolean

  constructor(protocol: "postgres" | "opaque") {
    this.opaque = protocol === "opaque"
  }

  /** Complete messages; what is left waits for further bytes. */
  push(direction: Direction, chunk: Buffer): ReadonlyArray<Message> {
    const messages: Array<Message> = []
    let bytes = this.pending[direction].length === 0 ? chunk : Buffer.concat([this.pending[direction], chunk])
    while (bytes.length > 0) {
      const length = this.opaque ? bytes.length : this.nextLength(direction, bytes)
      if (length === undefined || length > bytes.length) break
      messages.push(this.read(direction, bytes.subarray(0, length)))
      bytes = bytes.subarray(length)
    }
    // A copy: the rest must not keep the whole chunk alive, nor change with it.
    this.pending[direction] = Buffer.from(bytes)
    return messages
  }

  private untyped(direction: Direction): boolean {
    return direction === "frontend" && !this.started
  }

  private nextLength(direction: Direction, bytes: Buffer): number | undefined {
    if (direction === "backend" && this.answersDue > 0) return 1
    if (this.untyped(direction)) return bytes.length < 8 ? undefined : bytes.readUInt32BE(0)
    return bytes.length < 5 ? undefined : bytes.readUInt32BE(1) + 1
  }

  private read(direction: Direction, bytes: Buffer): Message {
    const message = (type: string, body: Buffer, statements: ReadonlyArray<string> = []): Message => ({
      direction,
      type,
      bytes,
      body,
      statements
    })
    if (this.opaque) return message("opaque", bytes)
    if (direction === "backend" && this.answersDue > 0) {
      this.answersDue--
      // From here on it is TLS, or GSS encryption.
      if (bytes[0] !== 0x4e) this.opaque = true
      return message("sslAnswer", bytes)
    }
    if (this.untyped(direction)) {
      const type = requestTypes[bytes.readUInt32BE(4)] ?? "startup"
      if (type === "startup") this.started = true
      else if (type !== "cancelRequest") this.answersDue++
      return message(type, bytes.subarray(4))
    }
    const type = String.fromCharCode(bytes[0] ?? 0)
    const body = bytes.subarray(5)
    return direction === "frontend" ? message(type, body, this.runs(type, body)) : message(type, body)
  }

  private runs(type: string, body: Buffer): ReadonlyArray<string> {
    switch (type) {
      case "Q":
        return [cString(body, 0)]
      case "P": {
        const name = cString(body, 0)
        this.statements.set(name, cString(body, Buffer.byteLength(name) + 1))
        return []
      }
      case "B": {
        const portal = cString(body, 0)
        this.portals.set(portal, this.statements.get(cString(body, Buffer.byteLength(portal) + 1)) ?? "")
        return []
      }
      case "E": {
        const text = this.portals.get(cString(body, 0)) ?? ""
        this.unsynced.push(text)
        return [text]
      }
      case "S": {
        const texts = this.unsynced
        this.unsynced = []
        return texts
      }
      default:
        return []
    }
  }
}
