/**
 * The command that looks whether all is well before a program starts: packages, settings, servers, clocks, connections.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as DbConfig from "../../DbConfig.js"
import { configured } from "../config/names.js"
import { end } from "./command.js"
import { withVariables } from "./database.js"
import { diagnose, type Diagnosis } from "./diagnosis.js"
import { integer } from "./effectCli.js"
import * as options from "./options.js"
import { installedVersion, isInRange, own } from "./package.js"
import { replicaLine } from "./replicas.js"
import { ending, exitCodes } from "./report.js"
import { type Look, onOutput } from "./style.js"
import { table } from "./text.js"

/** A package, or Node. */
interface Part {
  readonly name: string
  readonly version: string | null
  readonly range: string
  readonly problem: string | null
}

const partsOf = (): ReadonlyArray<Part> => {
  const { engines, peerDependencies, peerDependenciesMeta, version } = own()
  const part = (name: string, found: string | undefined, range: string, isOptional: boolean): Part => ({
    name,
    version: found ?? null,
    range,
    problem: found === undefined
      ? isOptional ? null : `${name} is not installed; dblive needs ${range}`
      : isInRange(found, range)
      ? null
      : `${name} ${found} is installed; dblive needs ${range}`
  })
  return [
    part("node", process.versions.node, engines.node, false),
    part("dblive", version, version, false),
    ...Object.entries(peerDependencies).map(([name, range]) =>
      part(name, installedVersion(name), range, peerDependenciesMeta[name]?.optional === true)
    )
  ]
}

const processText = (count: number): string => count === 1 ? "1 process" : `${count} processes`

/** The connections of all databases on one server. */
interface Connections {
  readonly server: string
  readonly databases: ReadonlyArray<string>
  readonly perProcess: number
  readonly processes: number
  readonly needed: number
  readonly most: number | null
  readonly problem: string | null
}

/** A pool of a process, of a database or of one of its replicas. */
interface PoolOf {
  readonly name: string
  readonly server: string
  readonly perProcess: number
  readonly most: number | null
  /** What a pooler shares is not one connection of the server each. */
  readonly isShared: boolean
}

/** Where a server is: the connections of all pools on it count together. */
const serverOf = ({ hosts }: DbConfig.DbConfig): string =>
  hosts.map(({ host, instance, port }) => `${host}${instance === undefined ? `:${port}` : `\\${instance}`}`).join(",")

const poolsOf = ({ config, name, perProcess, replicas, server }: Diagnosis): ReadonlyArray<PoolOf> =>
  config === undefined || config.type === "sqlite" ? [] : [
    {
      name,
      server: serverOf(config),
      perProcess: perProcess ?? 0,
      most: server?.maxConnections ?? null,
      isShared: server?.pooler === true
    },
    ...config.replicas.map((replica, index) => ({
      name: `${name}/replica-${index + 1}`,
      server: serverOf(replica),
      perProcess: replica.pool.size + replica.pool.overflow,
      most: replicas[index]?.maxConnections ?? null,
      isShared: false
    }))
  ]

const connectionsOf = (found: ReadonlyArray<Diagnosis>, processes: number): ReadonlyArray<Connections> => {
  const pools = found.flatMap(poolsOf)
  const servers = new Set(pools.map(({ server }) => server))
  return [...servers].map((server) => {
    const here = pools.filter((each) => each.server === server)
    const perProcess = here.reduce((sum, each) => sum + each.perProcess, 0)
    const limits = here.flatMap(({ most }) => most ?? [])
    const most = limits.length === 0 ? null : Math.min(...limits)
    const needed = perProcess * processes
    const databases = here.map(({ name }) => name)
    const isShared = here.some((each) => each.isShared)
    return {
      server,
      databases,
      perProcess,
      processes,
      needed,
      most,
      problem: most === null || needed <= most || isShared
        ? null
        : `${server}: ${
          processText(processes)
        } may open ${needed} connections (${perProcess} each), and the server has ${most}: ` +
          `give the pools of ${databases.join(", ")} at most ${Math.floor(most / processes)} for one process ` +
          "(DATABASE_POOL_SIZE and DATABASE_POOL_OVERFLOW), or raise the server's limit"
    }
  })
}

/** All that was found. */
interface Findings {
  readonly parts: ReadonlyArray<Part>
  readonly databases: ReadonlyArray<Diagnosis>
  readonly connections: ReadonlyArray<Connections>
  readonly problems: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
}

const findingsOf = (databases: ReadonlyArray<Diagnosis>, processes: number): Findings => {
  const parts = partsOf()
  const connections = connectionsOf(databases, processes)
  return {
    parts,
    databases,
    connections,
    problems: [
      ...parts.flatMap(({ problem }) => problem ?? []),
      ...databases.flatMap(({ error, name, refused, replicaProblems }) => [
        ...refused.map((fault) => `${name}: ${fault}`),
        ...(error === null ? [] : [`${name}: ${error}`]),
        ...replicaProblems
      ]),
      ...connections.flatMap(({ problem }) => problem ?? [])
    ],
    warnings: databases.flatMap(({ name, warnings }) => warnings.map((warning) => `${name}: ${warning}`))
  }
}

const section = (title: string, ...lines: ReadonlyArray<string>): ReadonlyArray<string> => [
  "",
  onOutput("heading", title),
  ...lines.flatMap((line) => line.split("\n")).map((line) => `  ${line}`)
]

const databaseLines = (found: Diagnosis, isAll: boolean): ReadonlyArray<string> => {
  const { address, name, replicas, server, settings } = found
  const given = settings.filter(({ from }) => isAll || from !== "default")
  const clock = server?.clockMillis === null || server === null
    ? []
    : [`clock: ${server.clockMillis > 0 ? "+" : ""}${server.clockMillis} ms (± ${server.clockErrorMillis} ms)`]
  return section(
    `${name}${address === null ? "" : `: ${address}`}`,
    ...(server === null ? [] : [`server: ${server.version}${server.pooler ? ", through a pooler" : ""}`]),
    ...clock,
    ...replicas.map(replicaLine),
    ...(given.length === 0 ? [] : [table(
      ["Setting", "Value", "From"],
      given.map(({ file, from, option, value, variable }) => [
        option,
        value,
        `${from === "URL" ? "URL" : from === "variable" ? "" : from}${
          variable === undefined
            ? ""
            : `${from === "URL" ? " in " : ""}${variable}${file === undefined ? "" : ` (${file})`}`
        }`
      ])
    )]),
    ...(isAll || settings.length === given.length
      ? []
      : [`and ${settings.length - given.length} defaults (--all shows them)`])
  )
}

const marked = (look: Look, word: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.map((line) => `${onOutput(look, word)} ${line.replaceAll("\n", "\n  ")}`)

const show = (isAll: boolean) => ({ connections, databases, parts, problems, warnings }: Findings): string =>
  [
    onOutput("heading", "Versions"),
    ...parts.flatMap(({ name, problem, version }) =>
      version === null ? [] : [`  ${name} ${problem === null ? version : onOutput("error", version)}`]
    ),
    ...databases.flatMap((found) => databaseLines(found, isAll)),
    ...(connections.length === 0 ? [] : section(
      "Connections",
      ...connections.map(({ databases, most, needed, perProcess, processes, server }) =>
        `${server} (${databases.join(", ")}): ${processText(processes)} x ${perProcess} = ${needed} of ${
          most === null ? "an unknown number" : most
        }`
      )
    )),
    "",
    ...marked("warning", "warning:", warnings),
    ...marked("error", "problem:", problems),
    ...(problems.length === 0 ? [onOutput("good", "no problems were found")] : [])
  ].join("\n")

const { create: _, database: __, ...target } = options.target

/** `dblive doctor` */
export const doctor = Command.make(
  "doctor",
  {
    database: options.optional(
      Options.text("database").pipe(
        Options.withAlias("d"),
        Options.withPseudoName("name"),
        Options.withDescription("One database, by its name in any case. Defaults to all that are configured")
      )
    ),
    ...target,
    processes: integer("processes").pipe(
      Options.withPseudoName("n"),
      Options.withDefault(1),
      Options.withDescription("How many processes of the program there will be, each with its own pools. Defaults to 1")
    ),
    all: Options.boolean("all").pipe(Options.withDescription("Show settings that have their defaults, too"))
  },
  (given) => {
    const names: Effect.Effect<ReadonlyArray<string>, ConfigError> =
      given.database !== undefined || given.url !== undefined
        ? Effect.succeed([given.database ?? "default"])
        : withVariables(given, configured)
    return names.pipe(
      Effect.flatMap((names) =>
        Effect.forEach(
          names.length === 0 ? ["default"] : names,
          (database) => diagnose({ ...given, database, create: false }),
          {
            concurrency: "unbounded"
          }
        )
      ),
      Effect.map((found) => {
        // The default one need not be there where the program has others.
        const used = found.filter(({ isConfigured }) => isConfigured)
        return findingsOf(used.length === 0 ? found : used, Math.max(1, given.processes))
      }),
      (work) =>
        ending(work, {
          json: given.json,
          code: ({ problems }) => problems.length === 0 ? exitCodes.done : exitCodes.failed,
          toJson: ({ connections, databases, parts, problems, warnings }) => ({
            problems,
            warnings,
            versions: parts,
            databases: databases.map(({ config: _config, replicaProblems: _problems, ...rest }) => rest),
            connections
          }),
          show: show(given.all)
        }),
      end
    )
  }
).pipe(Command.withDescription(
  "Look whether all is well before the program starts: versions of Node, packages and servers; the settings in force and where each came from, without secrets; everything that would be refused; the difference of the clocks; and whether the servers have connections for all pools. Changes nothing. Exits with 1 where there is a problem; a warning is none."
))
