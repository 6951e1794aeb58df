/**
 * One client's connection: PRELOGIN, LOGIN7, then requests one after the other, with attention at any time.
 *
 * Exports: `Connection`, `ServerState`.
 */
import type * as net from "node:net"
import { collation } from "./codec.js"
import { encryption, parseLogin7, parsePrelogin, preloginResponse } from "./login.js"
import { parseRpc, parseSqlBatch, parseTransactionManager, type TransactionRequest } from "./requests.js"
import { Response } from "./response.js"
import { runRpc } from "./rpc.js"
import type { EncryptionPolicy, Fault, LoggedRequest, TdsServer } from "./server.js"
import { Cancelled } from "./sql/database.js"
import { runBatch } from "./sql/interpreter.js"
import { type Host, Session } from "./sql/session.js"
import * as Tokens from "./tokens.js"
import { type TlsOptions, Transport } from "./transport.js"
import { TsqlError } from "./types.js"
import { frame, type Message, MessageReader, packetStatus, packetType } from "./wire.js"

/** What the connections of a server share. */
export interface ServerState {
  readonly server: TdsServer
  readonly users: ReadonlyMap<string, string>
  readonly encryption: EncryptionPolicy
  readonly tls: TlsOptions | undefined
  readonly packetSize: number
  readonly maxSessions: number | undefined
  readonly fragment: number | undefined
  readonly nextSpid: () => number
  readonly host: Host
  readonly closed: (connection: Connection) => void
}

const version = [16, 0, 1000] as const
const programName = "Microsoft SQL Server"
const tds74 = 0x74000004
/** The versions that a client may ask for; the oldest of them, 7.2, is the first with transaction descriptors. */
const oldestTds = 0x72090002

export class Connection {
  session: Session | undefined
  private readonly transport: Transport
  private readonly reader = new MessageReader()
  private state: "prelogin" | "login" | "ready" | "dead" = "prelogin"
  private loginOnlyEncryption = false
  private packetSize = 4096
  private queue: Array<Message> = []
  private busy = false
  private cancel: AbortController | undefined
  private attentions = 0
  private left: () => void = () => undefined
  /** Resolves when nothing of the connection is left. */
  readonly gone = new Promise<void>((resolve) => {
    this.left = resolve
  })
  private hung = false

  constructor(private readonly shared: ServerState, private readonly socket: net.Socket) {
    this.transport = new Transport(
      fragmented(socket, shared.fragment),
      shared.tls,
      (chunk) => this.receive(chunk),
      () => this.destroy()
    )
    socket.on("error", () => this.destroy())
    socket.on("close", () => this.ended())
    socket.on("end", () => this.destroy())
  }

  destroy(): void {
    this.state = "dead"
    this.socket.destroy()
  }

  private ended(): void {
    this.state = "dead"
    this.shared.closed(this)
    if (this.cancel === undefined) this.leave()
    // What runs ends first, and then the session.
    else this.cancel.abort()
  }

  private leave(): void {
    const { session } = this
    this.session = undefined
    session?.close()
    this.left()
  }

  private receive(chunk: Buffer): void {
    if (this.shared.server.silent || this.hung || this.state === "dead") return
    try {
      for (const message of this.reader.feed(chunk)) this.message(message)
    } catch {
      // The client broke the protocol.
      this.destroy()
    }
  }

  private message(message: Message): void {
    switch (this.state) {
      case "prelogin":
        if (message.type === packetType.prelogin) return this.prelogin(message.data)
        return this.destroy()
      case "login":
        if (message.type === packetType.login7) return this.login(message.data)
        return this.destroy()
      case "ready":
        if (message.type === packetType.attention) return this.attention()
        this.queue.push(message)
        if (!this.busy) void this.work()
    }
  }

  private prelogin(data: Buffer): void {
    const wanted = parsePrelogin(data)
    const can = this.shared.encryption !== "unsupported" && this.shared.tls !== undefined
    const required = this.shared.encryption === "required"
    let answer: number = encryption.notSupported
    if (can && !this.transport.strict) {
      answer = required && wanted.encryption !== encryption.on
        ? encryption.required
        : wanted.encryption === encryption.notSupported
        ? encryption.notSupported
        : wanted.encryption === encryption.off
        ? encryption.off
        : encryption.on
    }
    this.reply(packetType.tabularResult, preloginResponse(version, answer, true))
    this.state = "login"
    if (answer !== encryption.notSupported) {
      this.loginOnlyEncryption = answer === encryption.off
      this.transport.startTls(true)
    }
  }

  private reply(type: number, payload: Buffer): void {
    this.transport.write(frame(type, packetStatus.endOfMessage, this.session?.spid ?? 0, 1, payload))
  }

  private login(data: Buffer): void {
    const login = parseLogin7(data)
    const encrypted = this.transport.encrypted && !this.loginOnlyEncryption
    if (this.loginOnlyEncryption) this.transport.stopTls()
    const { server, users } = this.shared
    const refuse = (...errors: ReadonlyArray<readonly [number, string, number]>): void => {
      const tokens = errors.map(([number, message, severity]) =>
        Tokens.error({ number, message, severity, state: 1, server: this.shared.host.name, procedure: "", line: 1 })
      )
      this.reply(
        packetType.tabularResult,
        Buffer.concat([...tokens, Tokens.done("DONE", Tokens.doneStatus.error, 0, 0n)])
      )
      this.socket.end()
      this.state = "dead"
    }
    const failed = [18456, `Login failed for user '${login.username}'.`, 14] as const
    if (server.loginError !== undefined) return refuse([server.loginError.number, server.loginError.message, 16])
    if (login.integrated || login.features.has(2)) {
      return refuse([49_000, "the test server does not know integrated or federated authentication", 16])
    }
    if (login.tdsVersion < oldestTds) return refuse([49_000, "the test server speaks TDS 7.2 to 7.4", 16])
    if (users.get(login.username.toLowerCase()) !== login.password) return refuse(failed)
    const wanted = login.database === "" ? "master" : login.database
    const database = this.shared.host.database(wanted)
    if (database === undefined) {
      return refuse([
        4060,
        `Cannot open database "${wanted}" requested by the login. The login failed.`,
        11
      ], failed)
    }
    if (this.shared.maxSessions !== undefined && server.sessions().length >= this.shared.maxSessions) {
      return refuse([
        17809,
        `Could not connect because the maximum number of '${this.shared.maxSessions}' user connections has already been reached.`,
        20
      ])
    }
    const size = login.packetSize === 0 ? 4096 : Math.min(this.shared.packetSize, Math.max(512, login.packetSize))
    this.session = new Session(this.shared.nextSpid(), this.shared.host, {
      user: login.username,
      hostname: login.hostname,
      application: login.application,
      library: login.library,
      clientPid: login.clientPid,
      readOnlyIntent: login.readOnlyIntent,
      encrypted,
      packetSize: size
    }, database)
    const message = (number: number, text: string): Buffer =>
      Tokens.info({
        number,
        state: 1,
        severity: 0,
        message: text,
        server: this.shared.host.name,
        procedure: "",
        line: 1
      })
    const { environment } = Tokens
    this.reply(
      packetType.tabularResult,
      Buffer.concat([
        Tokens.envChangeText(environment.database, database.name, "master"),
        message(5701, `Changed database context to '${database.name}'.`),
        Tokens.envChangeBytes(environment.collation, collation, Buffer.alloc(0)),
        Tokens.envChangeText(environment.language, "us_english", ""),
        message(5703, "Changed language setting to us_english."),
        Tokens.loginAck(Math.min(login.tdsVersion, tds74), programName, version),
        Tokens.envChangeText(environment.packetSize, String(size), String(this.packetSize)),
        Tokens.done("DONE", 0, 0, 0n)
      ])
    )
    // Only now: the answer to the login is still in packets of the old size.
    this.packetSize = size
    this.state = "ready"
  }

  private log(request: Omit<LoggedRequest, "spid">): void {
    const { log } = this.shared.server
    log.push({ spid: this.session?.spid ?? 0, ...request })
    if (log.length > 10_000) log.splice(0, log.length - 10_000)
  }

  private attention(): void {
    this.log({ kind: "attention", text: "", procedure: undefined, declaration: undefined, reset: false })
    if (this.busy) {
      // The answer under way ends first, in a message of its own.
      this.attentions++
      this.cancel?.abort()
    } else this.acknowledge()
  }

  private acknowledge(): void {
    this.reply(packetType.tabularResult, Tokens.done("DONE", Tokens.doneStatus.attention, 0, 0n))
  }

  private async work(): Promise<void> {
    this.busy = true
    for (let message = this.queue.shift(); message !== undefined; message = this.queue.shift()) {
      await this.request(message)
      if (this.state === "dead") break
    }
    this.busy = false
  }

  private fault(text: string): Fault | undefined {
    const { faults } = this.shared.server
    const index = faults.findIndex((fault) => text.includes(fault.when))
    return index === -1 ? undefined : faults.splice(index, 1)[0]
  }

  private async request(message: Message): Promise<void> {
    const session = this.session!
    const procedure = message.type === packetType.rpc
    const response = new Response(
      this.transport,
      session.spid,
      () => this.packetSize,
      this.shared.host.name,
      procedure ? "DONEINPROC" : "DONE",
      () => session.transactionCount > 0
    )
    if ((message.status & packetStatus.ignore) !== 0) {
      // The client gave it up half way: nothing is run, and no attention is acknowledged.
      this.log({ kind: "ignored", text: "", procedure: undefined, declaration: undefined, reset: false })
      this.reply(packetType.tabularResult, Tokens.done("DONE", Tokens.doneStatus.error, 0, 0n))
      return
    }
    const cancel = new AbortController()
    this.cancel = cancel
    const reset = (message.status & (packetStatus.resetConnection | packetStatus.resetConnectionSkipTransaction)) !== 0
    let drop = false
    try {
      if (reset) session.reset(response, (message.status & packetStatus.resetConnectionSkipTransaction) !== 0)
      drop = await this.dispatch(session, message, response, reset, cancel.signal)
    } catch (error) {
      if (!(error instanceof Cancelled)) response.error(error instanceof TsqlError ? error : internal(error))
      response.failed()
    }
    this.cancel = undefined
    session.running = undefined
    if (this.state === "dead" || drop) {
      this.destroy()
      this.leave()
      return
    }
    if (this.hung) return
    response.end()
    for (; this.attentions > 0; this.attentions--) this.acknowledge()
  }

  /** Runs a request. True when the link is to break instead of an answer. */
  private async dispatch(
    session: Session,
    message: Message,
    response: Response,
    reset: boolean,
    signal: AbortSignal
  ): Promise<boolean> {
    const begin = (
      kind: LoggedRequest["kind"],
      text: string,
      rpc?: { procedure: string; declaration: string | undefined }
    ) => {
      this.log({ kind, text, procedure: rpc?.procedure, declaration: rpc?.declaration, reset })
      session.running = { text, command: command(text), started: Date.now() }
      const fault = this.fault(text)
      if (fault === undefined) return false
      if (fault.action === "hang") {
        this.hung = true
        throw new Cancelled()
      }
      if (fault.action === "drop-before") {
        this.state = "dead"
        throw new Cancelled()
      }
      if (fault.action === "drop-after") return true
      throw new TsqlError(fault.action.number, fault.action.message)
    }
    const checkDescriptor = (descriptor: bigint): void => {
      // After a reset the client still sends the one that it knew.
      if (descriptor !== session.descriptor && !reset) {
        throw new TsqlError(
          3989,
          "New request is not allowed to start because it should come with valid transaction descriptor."
        )
      }
    }
    switch (message.type) {
      case packetType.sqlBatch: {
        const { descriptor, text } = parseSqlBatch(message.data)
        const drop = begin("batch", text)
        checkDescriptor(descriptor)
        await runBatch(session, response, text, new Map(), signal)
        return drop
      }
      case packetType.rpc: {
        const rpc = parseRpc(message.data)
        const texts = rpc.parameters.filter((one) => typeof one.value === "string").map((one) => String(one.value))
        const name = rpc.procedure.toLowerCase()
        const [text, declaration] = name === "sp_executesql"
          ? [texts[0] ?? "", texts[1]]
          : name === "sp_prepare" || name === "sp_prepexec"
          ? [String(rpc.parameters[2]?.value ?? ""), rpc.parameters[1]?.value?.toString()]
          : name === "sp_execute"
          ? [session.prepared.get(Number(rpc.parameters[0]?.value))?.text ?? "", undefined]
          : [rpc.procedure, undefined]
        const drop = begin("rpc", text, { procedure: name, declaration })
        checkDescriptor(rpc.descriptor)
        await runRpc(session, response, rpc, signal)
        return drop
      }
      case packetType.transactionManager: {
        const { descriptor, request } = parseTransactionManager(message.data)
        const drop = begin("transaction", request.kind.toUpperCase())
        checkDescriptor(descriptor)
        runTransaction(session, response, request)
        return drop
      }
      default:
        throw new TsqlError(49_000, `the test server does not know messages of type ${message.type}`)
    }
  }
}

const runTransaction = (session: Session, response: Response, request: TransactionRequest): void => {
  switch (request.kind) {
    case "begin":
      if (request.isolation !== undefined) session.isolation = request.isolation
      session.begin(response, request.name === "" ? undefined : request.name)
      break
    case "commit":
      session.commit(response)
      if (request.begin !== undefined) return runTransaction(session, response, request.begin)
      break
    case "rollback":
      session.rollback(response, request.name === "" ? undefined : request.name)
      if (request.begin !== undefined) return runTransaction(session, response, request.begin)
      break
    case "save":
      session.save(request.name)
      break
    case "unknown":
      throw new TsqlError(49_000, `the test server does not know transaction manager request ${request.type}`)
  }
  response.done(0, undefined, false)
}

/** The first word of a statement, as `sys.dm_exec_requests` names what runs. */
const command = (text: string): string => /^\s*([a-z]+)/i.exec(text)?.[1]?.toUpperCase() ?? "UNKNOWN"

/** A fault of this server: seen at once, by its number and its stack. */
const internal = (error: unknown): TsqlError =>
  new TsqlError(49_001, `test server fault: ${error instanceof Error ? error.stack ?? error.message : String(error)}`)

/** The socket with its writes cut into pieces, so that nothing can rely on how bytes arrive together. */
const fragmented = (socket: net.Socket, size: number | undefined): net.Socket => {
  if (size === undefined) return socket
  const write = socket.write.bind(socket) as (chunk: Buffer) => boolean
  socket.write = ((chunk: Buffer) => {
    let room = true
    for (let at = 0; at < chunk.length; at += size) room = write(chunk.subarray(at, at + size))
    return room
  }) as typeof socket.write
  return socket
}
