/**
 * The answer to one request: tokens, cut into packets as they come.
 *
 * Exports: `Response`.
 */
import type { QueryColumn } from "./sql/query.js"
import type { Sink } from "./sql/session.js"
import * as Tokens from "./tokens.js"
import { type DoneKind, doneStatus } from "./tokens.js"
import type { Transport } from "./transport.js"
import type { SqlType, TsqlError, Value } from "./types.js"
import { frame, packetStatus, packetType } from "./wire.js"

export class Response implements Sink {
  private pending: Array<Buffer> = []
  private length = 0
  private packetId = 1
  /** A DONE says whether more follows: it waits until that is known. */
  private held:
    | { readonly kind: DoneKind; readonly status: number; readonly command: number; readonly count: bigint }
    | undefined
  private ended = false

  constructor(
    private readonly transport: Transport,
    private readonly spid: number,
    private readonly packetSize: () => number,
    private readonly server: string,
    /** DONE for a batch, DONEINPROC for a procedure. */
    private readonly kind: "DONE" | "DONEINPROC",
    private readonly inTransaction: () => boolean
  ) {}

  /** Adds a token. True when the client has to catch up first. */
  private push(token: Buffer): boolean {
    this.flushHeld(true)
    return this.add(token)
  }

  private add(token: Buffer): boolean {
    this.pending.push(token)
    this.length += token.length
    const size = this.packetSize() - 8
    if (this.length <= size) return false
    let bytes = Buffer.concat(this.pending)
    let full = false
    while (bytes.length > size) {
      full = !this.transport.write(
        frame(packetType.tabularResult, 0, this.spid, this.packetId++, bytes.subarray(0, size))
      ) || full
      bytes = bytes.subarray(size)
    }
    this.pending = [bytes]
    this.length = bytes.length
    return full
  }

  private flushHeld(more: boolean): void {
    if (this.held === undefined) return
    const { command, count, kind, status } = this.held
    this.held = undefined
    const flags = status | (more ? doneStatus.more : 0) | (this.inTransaction() ? doneStatus.inTransaction : 0)
    this.add(Tokens.done(kind, flags, command, count))
  }

  columns = (columns: ReadonlyArray<QueryColumn>): void => {
    this.push(Tokens.columnMetadata(columns))
  }

  row = (columns: ReadonlyArray<QueryColumn>, values: ReadonlyArray<Value>): Promise<void> | undefined =>
    this.push(Tokens.row(columns, values)) ? this.transport.drain() : undefined

  done = (command: number, count: bigint | undefined, failed: boolean): void => {
    this.flushHeld(true)
    this.held = {
      kind: this.kind,
      status: (failed ? doneStatus.error : 0) | (count === undefined ? 0 : doneStatus.count),
      command,
      count: count ?? 0n
    }
  }

  error = (error: TsqlError): void => {
    this.push(Tokens.error({
      number: error.number,
      state: error.state,
      severity: error.severity,
      message: error.message,
      server: this.server,
      procedure: "",
      line: error.line
    }))
  }

  info = (number: number, message: string, severity: number): void => {
    this.push(Tokens.info({ number, state: 1, severity, message, server: this.server, procedure: "", line: 1 }))
  }

  environment = (token: Buffer): void => {
    this.push(token)
  }

  token = (token: Buffer): void => {
    this.push(token)
  }

  returnValue = (ordinal: number, name: string, type: SqlType, value: Value): void => {
    this.push(Tokens.returnValue(ordinal, name, type, value))
  }

  /** The end of a procedure, after its statements. */
  endProcedure(status: number | undefined, failed: boolean, outputs: () => void): void {
    if (status !== undefined) this.push(Tokens.returnStatus(status))
    outputs()
    this.flushHeld(true)
    this.held = {
      kind: "DONEPROC",
      status: failed ? doneStatus.error : 0,
      command: Tokens.command.exec,
      count: 0n
    }
  }

  /** The request was stopped, or failed as a whole: its last token is a DONE with an error. */
  failed(): void {
    this.flushHeld(true)
    this.held = { kind: "DONE", status: doneStatus.error, command: 0, count: 0n }
  }

  /** Ends the message. */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.held ??= { kind: "DONE", status: 0, command: 0, count: 0n }
    this.flushHeld(false)
    this.transport.write(
      frame(
        packetType.tabularResult,
        packetStatus.endOfMessage,
        this.spid,
        this.packetId,
        Buffer.concat(this.pending)
      )
    )
    this.pending = []
  }
}
