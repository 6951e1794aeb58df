/** One client's connection: PRELOGIN, LOGIN7, then requests one after the other, with attention at any time. */
import type * as net from "node:net"
import { collation } from "./codec.js"
import { encryption, type Login7, parseLogin7, parsePrelogin, preloginResponse } from "./login.js"
import { parseRpc, parseSqlBatch } from "./requests.js"
import { Response } from "./response.js"
import { runRpc, textOf } from "./rpc.js"
import type { Fault, LoggedRequest, ServerOptions, TdsServer } from "./server.js"
import { runBatch } from "./sql/batch.js"
import { Cancelled } from "./sql/database.js"
import { type Host, Session } from "./sql/session.js"
import * as Tokens from "./tokens.js"
import { Transport } from "./transport.js"
import { TsqlError, unsupported } from "./types.js"
import { frame, type Message, MessageReader, packetSize, packetStatus, packetType } from "./wire.js"

/** What the connections of a server share. */
export interface ServerState {
  readonly server: TdsServer
  readonly options: ServerOptions
  readonly users: ReadonlyMap<string, string>
  readonly nextSpid: () => number
  readonly host: Host
  readonly closed: (connection: Connection) => void
}

const version = [16, 0, 1000] as const
const acknowledged = Tokens.done("DONE", Tokens.doneStatus.attention, 0, 0n)
const tds74 = 0x74000004

export class Connection {
  session: Session | undefined
  /** Resolves when nothing of the connection is left. */
  readonly gone: Promise<void>
  readonly #transport: Transport
  readonly #reader = new MessageReader()
  #state: "prelogin" | "login" | "ready" | "hung" | "dead" = "prelogin"
  #encryptsLoginOnly = false
  #queue: Array<Message> = []
  #cancel: AbortController | undefined
  #attentions = 0
  #isBusy = false
  #left: () => void = () => undefined

  constructor(private readonly shared: ServerState, private readonly socket: net.Socket) {
    this.gone = new Promise((resolve) => this.#left = resolve)
    this.#transport = new Transport(socket, shared.options.tls, (chunk) => this.#receive(chunk), () => this.destroy())
    socket.on("error", () => this.destroy())
    socket.on("close", () => {
      this.#state = "dead"
      shared.closed(this)
      if (this.#cancel === undefined) this.#leave()
      // What runs ends first, and then the session.
      else this.#cancel.abort()
    })
    socket.on("end", () => this.destroy())
  }

  destroy(): void {
    this.#state = "dead"
    this.socket.destroy()
  }

  #leave(): void {
    this.session?.close()
    this.session = undefined
    this.#left()
  }

  #receive(chunk: Buffer): void {
    if (this.shared.server.silent || this.#state === "hung" || this.#state === "dead") return
    try {
      for (const message of this.#reader.feed(chunk)) this.#message(message)
    } catch {
      // The client broke the protocol.
      this.destroy()
    }
  }

  #message(message: Message): void {
    if (this.#state === "ready") {
      if (message.type === packetType.attention) return this.#attention()
      this.#queue.push(message)
      if (!this.#isBusy) void this.#work()
    } else if (this.#state === "prelogin" && message.type === packetType.prelogin) this.#prelogin(message.data)
    else if (this.#state === "login" && message.type === packetType.login7) this.#login(parseLogin7(message.data))
    else this.destroy()
  }

  #prelogin(data: Buffer): void {
    const wanted = parsePrelogin(data).encryption
    const { encryption: policy = "on", tls } = this.shared.options
    const answer = policy === "unsupported" || tls === undefined
      ? encryption.notSupported
      : policy === "required" && wanted !== encryption.on
      ? encryption.required
      : wanted
    this.#reply(preloginResponse(version, answer))
    this.#state = "login"
    if (answer === encryption.notSupported) return
    this.#encryptsLoginOnly = answer === encryption.off
    this.#transport.startTls()
  }

  #reply(...tokens: ReadonlyArray<Buffer>): void {
    const spid = this.session?.spid ?? 0
    this.#transport.write(frame(packetType.tabularResult, packetStatus.endOfMessage, spid, 1, Buffer.concat(tokens)))
  }

  /** The errors that a login is refused with. */
  #refusal(login: Login7): ReadonlyArray<readonly [number, string, number]> {
    const { host, options: { maxSessions }, server, users } = this.shared
    const failed = [18456, `Login failed for user '${login.username}'.`, 14] as const
    if (server.loginError !== undefined) return [[server.loginError.number, server.loginError.message, 16]]
    if (users.get(login.username.toLowerCase()) !== login.password) return [failed]
    if (host.database(login.database || "master") === undefined) {
      return [[4060, `Cannot open database "${login.database}" requested by the login. The login failed.`, 11], failed]
    }
    return maxSessions === undefined || server.sessions().length < maxSessions ? [] : [[
      17809,
      `Could not connect because the maximum number of '${maxSessions}' user connections has already been reached.`,
      20
    ]]
  }

  #login(login: Login7): void {
    const encrypted = this.#transport.encrypted && !this.#encryptsLoginOnly
    if (this.#encryptsLoginOnly) this.#transport.stopTls()
    const { host } = this.shared
    const refusal = this.#refusal(login)
    if (refusal.length > 0) {
      const errors = refusal.map(([number, message, severity]) =>
        Tokens.error({ number, message, severity, state: 1, server: host.name, line: 1 })
      )
      this.#reply(...errors, Tokens.done("DONE", Tokens.doneStatus.error, 0, 0n))
      this.socket.end()
      this.#state = "dead"
      return
    }
    const database = host.database(login.database || "master")!
    this.session = new Session(this.shared.nextSpid(), host, { ...login, encrypted }, database)
    const { environment } = Tokens
    this.#reply(
      Tokens.envChangeText(environment.database, database.name, "master"),
      Tokens.envChangeBytes(environment.collation, collation, Buffer.alloc(0)),
      Tokens.envChangeText(environment.language, "us_english", ""),
      Tokens.loginAck(Math.min(login.tdsVersion, tds74), "Microsoft SQL Server", version),
      Tokens.envChangeText(environment.packetSize, String(packetSize), String(packetSize)),
      Tokens.done("DONE", 0, 0, 0n)
    )
    this.#state = "ready"
  }

  #attention(): void {
    this.#log({ kind: "attention", text: "", procedure: undefined, reset: false })
    if (!this.#isBusy) return this.#reply(acknowledged)
    // The answer under way ends first, in a message of its own.
    this.#attentions++
    this.#cancel?.abort()
  }

  #log(request: Omit<LoggedRequest, "spid">): void {
    const { log } = this.shared.server
    log.push({ spid: this.session?.spid ?? 0, ...request })
    if (log.length > 10_000) log.splice(0, log.length - 10_000)
  }

  async #work(): Promise<void> {
    this.#isBusy = true
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      await this.#request(message, this.session!)
      if (this.#state === "dead") break
    }
    this.#isBusy = false
  }

  async #request(message: Message, session: Session): Promise<void> {
    if ((message.status & packetStatus.ignore) !== 0) {
      // The client gave it up half way: nothing is run, and no attention is acknowledged.
      this.#log({ kind: "ignored", text: "", procedure: undefined, reset: false })
      return this.#reply(Tokens.done("DONE", Tokens.doneStatus.error, 0, 0n))
    }
    const response = new Response(this.#transport, session, message.type === packetType.rpc ? "DONEINPROC" : "DONE")
    const cancel = new AbortController()
    this.#cancel = cancel
    let drops = false
    try {
      if ((message.status & packetStatus.resetConnection) !== 0) session.reset(response)
      drops = await this.#dispatch(session, message, response, cancel.signal)
    } catch (error) {
      if (!(error instanceof Cancelled)) response.error(error instanceof TsqlError ? error : internal(error))
      response.failed()
    }
    this.#cancel = undefined
    session.running = undefined
    if (this.#isDead || drops) {
      this.destroy()
      return this.#leave()
    }
    if (this.#state === "hung") return
    response.end()
    for (; this.#attentions > 0; this.#attentions--) this.#reply(acknowledged)
  }

  /** Asked for anew: it changes while a request runs. */
  get #isDead(): boolean {
    return this.#state === "dead"
  }

  /** Runs a request. True when the link is to break instead of an answer. */
  async #dispatch(session: Session, message: Message, response: Response, signal: AbortSignal): Promise<boolean> {
    const reset = (message.status & packetStatus.resetConnection) !== 0
    const begin = (
      descriptor: bigint,
      request: Pick<LoggedRequest, "kind" | "text"> & Partial<Pick<LoggedRequest, "procedure">>
    ): boolean => {
      this.#log({ procedure: undefined, reset, ...request })
      // The first word, as `sys.dm_exec_requests` names what runs.
      const command = /[a-z]+/i.exec(request.text)?.[0].toUpperCase() ?? ""
      session.running = { text: request.text, command, started: Date.now() }
      const drops = this.#meet(request.text)
      // After a reset the client still sends the one that it knew.
      if (descriptor !== session.descriptor && !reset) {
        throw new TsqlError(3989, "A request should come with a valid transaction descriptor.")
      }
      return drops
    }
    switch (message.type) {
      case packetType.sqlBatch: {
        const { descriptor, text } = parseSqlBatch(message.data)
        const drops = begin(descriptor, { kind: "batch", text })
        await runBatch(session, response, text, new Map(), signal)
        return drops
      }
      case packetType.rpc: {
        const rpc = parseRpc(message.data)
        const text = textOf(rpc, session)?.text ?? rpc.procedure
        const drops = begin(rpc.descriptor, { kind: "rpc", text, procedure: rpc.procedure })
        await runRpc(session, response, rpc, signal)
        return drops
      }
      default:
        throw unsupported(`messages of type ${message.type}`)
    }
  }

  /** What a test wants to go wrong here. True when the link is to break instead of an answer. */
  #meet(text: string): boolean {
    const { faults } = this.shared.server
    const index = faults.findIndex(({ when }) => text.includes(when))
    const action: Fault["action"] | undefined = index === -1 ? undefined : faults.splice(index, 1)[0]!.action
    if (typeof action === "object") throw new TsqlError(action.number, action.message)
    if (action === undefined || action === "drop-after") return action !== undefined
    this.#state = action === "hang" ? "hung" : "dead"
    throw new Cancelled()
  }
}

/** A fault of this server: seen at once, by its number and its stack. */
const internal = (error: unknown): TsqlError =>
  new TsqlError(49_001, `test server fault: ${error instanceof Error ? error.stack : String(error)}`)
