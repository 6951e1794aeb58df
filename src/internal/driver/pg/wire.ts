/**
 * `pg`'s connection, whose messages go past `pg` as soon as the link is open.
 */
import * as Pg from "pg"
import type { PgConnection } from "./connection.js"
import type { Message } from "./link.js"
import { Inlet, Reader } from "./reader.js"

// `pg`'s types leave out what its `Connection` has had since its first version: these are the parts used here.
interface PgInternals {
  emit(event: string, message?: unknown): boolean
  attachListeners(stream: Pg.Connection["stream"]): void
  upgradeToSSL(host: string, failed: (error: Error) => void): void
}

/**
 * `pg`'s own connection, whose messages go to a {@link PgConnection} as soon as there is one: past `pg`'s client and its
 * events, which cost a third of a small statement.
 */
export class Wire extends Pg.Connection {
  private receiver: PgConnection | undefined
  private reader: Reader | undefined
  private readonly inlet: Inlet | undefined

  constructor(
    options: Pg.ConnectionConfig,
    /** The name the certificate is checked against, where it is not the host's. */
    private readonly servername: string | undefined
  ) {
    // `pg` puts TLS around a socket of its own, by what that emits.
    const inlet = options.ssl === false ? new Inlet() : undefined
    super(inlet === undefined ? options : { ...options, stream: () => inlet.socket })
    this.inlet = inlet
  }

  override emit(event: string | symbol, message?: unknown): boolean {
    if (this.receiver !== undefined && typeof event === "string") {
      // `pg` emits one message per event.
      return this.receiver.receive(event, message as Message)
    }
    return super.emit(event, message)
  }

  /** `pg` takes the host for the name of the server, whatever the options say. */
  upgradeToSSL(host: string, failed: (error: Error) => void): void {
    const internals = Pg.Connection.prototype as unknown as PgInternals
    internals.upgradeToSSL.call(this, this.servername ?? host, failed)
  }

  /** From now on the messages are the connection's. */
  handOver(receiver: PgConnection): void {
    this.receiver = receiver
    if (this.reader !== undefined) this.reader.receiver = receiver
  }

  /**
   * What `pg` does here, with a reader ahead of its own, which is given whole messages; and with a guard: what cannot be
   * read would be thrown into the event loop.
   */
  attachListeners(stream: Pg.Connection["stream"]): void {
    const guarded = {
      on: (event: string, listener: (data: Buffer) => void) => {
        if (event !== "data") return stream.on(event, listener)
        const reader = new Reader(listener)
        this.reader = reader
        const take = reader.listener((error) => {
          this.emit("error", error)
          stream.destroy()
        })
        if (this.inlet === undefined) return stream.on("data", take)
        this.inlet.take = take
        return stream
      }
    }
    const internals = Pg.Connection.prototype as unknown as PgInternals
    // `attachListeners` only calls `on` of what it is given.
    internals.attachListeners.call(this, guarded as unknown as Pg.Connection["stream"])
  }
}
