/**
 * A client's socket with TLS on top of it: inside PRELOGIN messages at first (at most TLS 1.2), bare afterwards, and for
 * clients that encrypt their login only, gone again after it.
 */
import type * as net from "node:net"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import { frame, MessageReader, packetStatus, packetType } from "./wire.js"

export interface TlsOptions {
  readonly cert: string
  readonly key: string
}

export class Transport {
  private secure: tls.TLSSocket | undefined
  private pipe: Duplex | undefined
  /** Handshake bytes travel in PRELOGIN messages. */
  private wrapping = false
  private handshakeDone = false
  private readonly handshake = new MessageReader()
  private outgoing: Array<Buffer> = []
  private flushing = false
  private drained: Array<() => void> = []
  encrypted = false

  constructor(
    readonly socket: net.Socket,
    private readonly options: TlsOptions | undefined,
    private readonly onData: (chunk: Buffer) => void,
    private readonly onBroken: (error: Error) => void
  ) {
    socket.on("data", (chunk: Buffer) => this.receive(chunk))
    socket.on("drain", () => {
      const waiting = this.drained
      this.drained = []
      for (const resume of waiting) resume()
    })
  }

  private receive(chunk: Buffer): void {
    try {
      if (this.pipe === undefined) this.onData(chunk)
      else if (this.wrapping) {
        for (const message of this.handshake.feed(chunk)) {
          if (message.type !== packetType.prelogin) {
            throw new Error(`message of type ${message.type} in a TLS handshake`)
          }
          this.pipe.push(message.data)
        }
      } else this.pipe.push(chunk)
    } catch (error) {
      this.onBroken(error as Error)
    }
  }

  /** Begins TLS as the server. */
  startTls(): void {
    if (this.options === undefined) throw new Error("no certificate")
    this.wrapping = true
    this.pipe = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, callback) => {
        this.send(chunk)
        callback()
      }
    })
    this.secure = new tls.TLSSocket(this.pipe, {
      isServer: true,
      secureContext: tls.createSecureContext({
        cert: this.options.cert,
        key: this.options.key,
        maxVersion: "TLSv1.2"
      })
    })
    this.secure.on("secure", () => {
      this.handshakeDone = true
      this.encrypted = true
    })
    this.secure.on("data", (chunk: Buffer) => this.onData(chunk))
    this.secure.on("error", (error: Error) => this.onBroken(error))
  }

  /** Encrypted bytes to the socket. A flight of the handshake is gathered into one message: clients await one. */
  private send(chunk: Buffer): void {
    if (!this.wrapping) {
      this.socket.write(chunk)
      return
    }
    this.outgoing.push(chunk)
    if (this.flushing) return
    this.flushing = true
    setImmediate(() => {
      this.flushing = false
      const flight = Buffer.concat(this.outgoing)
      this.outgoing = []
      const size = 4088
      for (let at = 0, id = 1; at < flight.length; at += size, id++) {
        const last = at + size >= flight.length
        this.socket.write(
          frame(packetType.prelogin, last ? packetStatus.endOfMessage : 0, 0, id, flight.subarray(at, at + size))
        )
      }
      if (this.handshakeDone) this.wrapping = false
    })
  }

  /** Login-only encryption ends: what follows is in clear, both ways. */
  stopTls(): void {
    this.pipe = undefined
    this.secure = undefined
    this.encrypted = false
  }

  /** Whether more may be written at once. */
  write(data: Buffer): boolean {
    if (this.socket.destroyed) return true
    if (this.secure === undefined) return this.socket.write(data)
    this.secure.write(data)
    return this.socket.writableLength < this.socket.writableHighWaterMark
  }

  /** Resolves when the socket has room, or has ended. */
  drain(): Promise<void> {
    if (this.socket.destroyed || !this.socket.writableNeedDrain) return new Promise((resolve) => setImmediate(resolve))
    return new Promise((resolve) => {
      this.drained.push(resolve)
      this.socket.once("close", resolve)
    })
  }
}
