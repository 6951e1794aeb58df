/**
 * What has been read of a URL so far, and how it becomes options.
 */
import type { LimitOptions, Options, PoolOptions } from "./options.js"
import type { DatabaseType } from "./values.js"

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A host as it stands in the URL (IPv6 in brackets), with the port beside it. */
interface HostPart {
  readonly host: string
  readonly port: number | undefined
}

/** Filled by the parts of a URL, in their order. */
export interface Draft {
  readonly type: DatabaseType
  readonly options: Mutable<Options>
  readonly pool: Mutable<PoolOptions>
  readonly limits: Mutable<LimitOptions>
  readonly settings: Record<string, string>
  hosts: Array<HostPart>
  /** Ports given apart from the hosts: one for all, or one for each. */
  ports: ReadonlyArray<number>
  instance: string | undefined
  /** Takes the place of the hosts. */
  socket: string | undefined
  /** Certificates are to be checked, whatever the mode says beside it; `false`: they are not. */
  strict: boolean | undefined
  /** SQL Server tells TLS by two switches. */
  encrypt: boolean | undefined
  trust: boolean | undefined
  readonly faults: Array<string>
}

/** An empty draft. */
export const make = (type: DatabaseType): Draft => ({
  type,
  options: { type },
  pool: {},
  limits: {},
  settings: {},
  hosts: [],
  ports: [],
  instance: undefined,
  socket: undefined,
  strict: undefined,
  encrypt: undefined,
  trust: undefined,
  faults: []
})

const filled = (value: object): boolean => Object.keys(value).length > 0

const joinHosts = (draft: Draft): void => {
  const { hosts, options, ports, socket } = draft
  if (socket !== undefined) {
    options.host = socket
    // The file of a PostgreSQL socket has the port in its name; others have none.
    options.port = draft.type === "postgresql" ? ports[0] ?? hosts[0]?.port : undefined
    return
  }
  if (ports.length > 1 && ports.length !== hosts.length) {
    draft.faults.push("there are not as many ports as hosts; accepted: one port for all hosts, or one for each")
    return
  }
  const parts = hosts.map((part, index) => ({ ...part, port: part.port ?? ports[index] ?? ports[0] }))
  const [only] = parts
  if (only === undefined) {
    options.port = ports[0]
  } else if (parts.length === 1) {
    const host = only.host.replace(/^\[(.*)\]$/, "$1")
    options.host = draft.instance !== undefined ? `${host}\\${draft.instance}` : host === "" ? undefined : host
    options.port = only.port
  } else {
    options.host = parts.map(({ host, port }) => {
      const name = host === "" ? "localhost" : host
      return port === undefined ? name : `${name}:${port}`
    }).join(",")
  }
}

/** The options; what was not given is left out. */
export const finish = (draft: Draft): Options => {
  const { options } = draft
  joinHosts(draft)
  if (draft.encrypt !== undefined || draft.trust !== undefined) {
    options.ssl = draft.encrypt === false ? "disable" : draft.trust === true ? "require" : "verify-full"
  }
  if (draft.strict === true && options.ssl !== "disable") {
    options.ssl = "verify-full"
  } else if (draft.strict === false) {
    options.ssl ??= "require"
  }
  const all: Options = {
    ...options,
    settings: filled(draft.settings) ? draft.settings : undefined,
    pool: filled(draft.pool) ? draft.pool : undefined,
    limits: filled(draft.limits) ? draft.limits : undefined
  }
  // What is left is a subset of the options, all of which are optional.
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Options
}

const hostForms =
  "a name, an IPv4 address, an IPv6 address in brackets, or the folder of a socket (in front of the path: %2Fvar%2Frun)"

/** Reads `host`, `host:port`, `[v6]:port`, several separated by commas. The text is decoded already. */
export const parseHosts = (text: string, draft: Draft): void => {
  const parts = text.split(",")
  for (const [index, part] of parts.entries()) {
    const place = parts.length > 1 ? `host ${index + 1}` : "the host"
    const match =
      /^(\[[\dA-Fa-f:.]+(?:%[\w.-]+)?\]|\/(?!\/)[^@?#]*?(?=(?::\d*)?$)|[^\s/\\@?#;:[\]%]*)(?:\\([\w$]+))?(?::(.*))?$/
        .exec(part)
    const port = match?.[3]
    if (match === null || (match[2] !== undefined && (draft.type !== "mssql" || parts.length > 1))) {
      draft.faults.push(`${place} cannot be read; accepted: ${hostForms}`)
    } else if (port !== undefined && port !== "" && parsePort(port) === undefined) {
      draft.faults.push(`the port of ${place} is not valid; accepted: a number from 1 to 65535`)
    } else {
      draft.instance = match[2] ?? draft.instance
      draft.hosts.push({ host: match[1]!, port: port === undefined ? undefined : parsePort(port) })
    }
  }
}

/**
 * Reads an option `host`, where a single IPv6 address stands without brackets. The type decides whether `\\instance`
 * may follow.
 */
export const fromHostOption = (type: DatabaseType, text: string): Draft => {
  const draft = make(type)
  parseHosts(/^[\dA-Fa-f]*:[\dA-Fa-f:.]*:[\dA-Fa-f:.%\w]*$/.test(text) ? `[${text}]` : text, draft)
  return draft
}

/** A port, where the text is one. */
export const parsePort = (text: string): number | undefined => {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : undefined
}

/** Decodes percent-escapes; `undefined` where one is broken. */
export const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
