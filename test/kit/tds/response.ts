/** The answer to one request: tokens, cut into packets as they come. */
import type { Column } from "./sql/scope.js"
import type { Session } from "./sql/session.js"
import * as Tokens from "./tokens.js"
import { type DoneKind, doneStatus } from "./tokens.js"
import type { Transport } from "./transport.js"
import type { SqlType, TsqlError, Value } from "./types.js"
import { frame, packetSize, packetStatus, packetType } from "./wire.js"

export class Response {
  #pending: Array<Buffer> = []
  #length = 0
  #packetId = 1
  /** A DONE says whether more follows: it waits until that is known. */
  #held:
    | { readonly kind: DoneKind; readonly status: number; readonly command: number; readonly count: bigint }
    | undefined

  constructor(
    private readonly transport: Transport,
    private readonly session: Session,
    /** DONE for a batch, DONEINPROC for a procedure. */
    private readonly kind: "DONE" | "DONEINPROC"
  ) {}

  /** Adds a token. True when the client has to catch up first. */
  #push(token: Buffer): boolean {
    this.#flushHeld(true)
    return this.#add(token)
  }

  #add(token: Buffer): boolean {
    this.#pending.push(token)
    this.#length += token.length
    const size = packetSize - 8
    if (this.#length <= size) return false
    let bytes = Buffer.concat(this.#pending)
    let full = false
    for (; bytes.length > size; bytes = bytes.subarray(size)) {
      const packet = frame(packetType.tabularResult, 0, this.session.spid, this.#packetId++, bytes.subarray(0, size))
      full = !this.transport.write(packet) || full
    }
    this.#pending = [bytes]
    this.#length = bytes.length
    return full
  }

  #flushHeld(more: boolean): void {
    if (this.#held === undefined) return
    const { command, count, kind, status } = this.#held
    this.#held = undefined
    const flags = (more ? doneStatus.more : 0) | (this.session.transactionCount > 0 ? doneStatus.inTransaction : 0)
    this.#add(Tokens.done(kind, status | flags, command, count))
  }

  #hold(kind: DoneKind, failed: boolean, command: number, count?: bigint): void {
    this.#flushHeld(true)
    const status = (failed ? doneStatus.error : 0) | (count === undefined ? 0 : doneStatus.count)
    this.#held = { kind, status, command, count: count ?? 0n }
  }

  columns = (columns: ReadonlyArray<Column>): void => void this.#push(Tokens.columnMetadata(columns))

  /** Resolves when the client keeps up. */
  row = (columns: ReadonlyArray<Column>, values: ReadonlyArray<Value>): Promise<void> | undefined =>
    this.#push(Tokens.row(columns, values)) ? this.transport.drain() : undefined

  /** The end of a statement. `count`: undefined where it counts nothing. */
  done = (command: number, count: bigint | undefined, failed: boolean): void =>
    this.#hold(this.kind, failed, command, count)

  error = ({ message, number, severity, state, ...rest }: TsqlError, line = rest.line): void =>
    void this.#push(Tokens.error({ number, state, severity, message, line, server: this.session.host.name }))

  info = (number: number, message: string, severity: number): void =>
    void this.#push(Tokens.info({ number, state: 1, severity, message, line: 1, server: this.session.host.name }))

  environment = (token: Buffer): void => void this.#push(token)

  returnValue(name: string, type: SqlType, value: Value): void {
    this.#push(Tokens.returnValue(0, name, type, value))
  }

  /** The end of a procedure, after its statements. */
  endProcedure(status: number, failed: boolean, outputs: () => void): void {
    this.#push(Tokens.returnStatus(status))
    outputs()
    this.#hold("DONEPROC", failed, Tokens.command.exec)
  }

  /** The request was stopped, or failed as a whole: its last token is a DONE with an error. */
  failed(): void {
    this.#hold("DONE", true, 0)
  }

  /** Ends the message. */
  end(): void {
    if (this.#held === undefined) this.#hold("DONE", false, 0)
    this.#flushHeld(false)
    const { spid } = this.session
    this.transport.write(
      frame(packetType.tabularResult, packetStatus.endOfMessage, spid, this.#packetId, Buffer.concat(this.#pending))
    )
  }
}
