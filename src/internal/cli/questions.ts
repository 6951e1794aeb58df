/**
 * The commands about the database itself.
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as DbHealth from "../../DbHealth.js"
import * as DbMigrator from "../../DbMigrator.js"
import { begun, end, folderOf, migratorOptions, plural } from "./command.js"
import type { Opened, Where } from "./database.js"
import { open } from "./database.js"
import * as options from "./options.js"
import type { Failure } from "./report.js"
import { Answer, ending, exitCodes, UsageError } from "./report.js"
import { csv, elapsed, table, toJson } from "./text.js"

/** In a word, where the folder of migrations is there to compare with. */
const migrationStatus = (given: Where, tag: Opened["tag"]) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) => Effect.orElseSucceed(fs.exists(folderOf({ ...given, folder: undefined })), () => false)
  ).pipe(
    Effect.flatMap((doesExist) =>
      doesExist
        ? DbMigrator.healthStatus(
          tag,
          migratorOptions({ ...given, folder: undefined, table: undefined, placeholders: {}, outOfOrder: false })
        )
        : Effect.succeed(null)
    ),
    // The database went away between the two questions.
    Effect.orElseSucceed(() => null)
  )

/** `dblive health` */
export const health = Command.make("health", options.target, (given) => {
  const { layer, tag } = open(given, false)
  return begun(given).pipe(
    Effect.zipRight(
      Effect.gen(function*() {
        const report = yield* tag.health
        return Schema.encodeSync(DbHealth.Report)({
          ...report,
          migrationStatus: report.migrationStatus ?? (report.queryTest ? yield* migrationStatus(given, tag) : null)
        })
      }).pipe(Effect.provide(layer))
    ),
    (work) =>
      ending(work, {
        json: given.json,
        code: ({ status }) => status === "unhealthy" ? exitCodes.failed : exitCodes.done,
        toJson: (report) => report,
        show: ({ database_name, database_type, error, migration_status, pool, response_time_ms, status }) =>
          [
            `${database_name} (${database_type}): ${status}, ${
              error ?? `answered in ${Math.round(response_time_ms)} ms`
            }`,
            `migrations: ${migration_status ?? "unknown"}`,
            `connections: ${pool.in_use} in use and ${pool.idle} idle of at most ${pool.capacity}, ${pool.waiting} waiting`
          ].join("\n")
      }),
    end
  )
}).pipe(Command.withDescription(
  "Whether the database answers, how fast, whether its migrations are applied, and the state of the pool. Exits with 1 when it does not answer."
))

/** `dblive info` */
export const info = Command.make("info", options.target, (given) => {
  const { layer, tag } = open(given)
  return begun(given).pipe(
    Effect.zipRight(Effect.provide(tag.info, layer)),
    (work) =>
      ending(work, {
        json: given.json,
        toJson: (info) => info,
        show: ({ name, serverVersion, type, uri }) =>
          table(["Property", "Value"], [["name", name], ["type", type], ["address", uri], ["server", serverVersion]])
      }),
    end
  )
}).pipe(
  Command.withDescription(
    "What the configuration of a database leads to: type, address (never the password), server version."
  )
)

/** What more tries will not change. */
const hopeless = new Set(["Authentication", "Tls", "Unsupported", "NotADatabase", "CannotOpen"])

const pause = Schedule.union(Schedule.exponential(100, 1.5), Schedule.spaced(1_000))

/** `dblive ping` */
export const ping = Command.make("ping", { ...options.target, wait: options.wait }, (given) => {
  const { layer, tag } = open(given)
  const began = Date.now()
  const silent = new Answer(exitCodes.failed, `${given.database} does not answer`)
  let last: Failure = silent
  const once = Effect.filterOrFail(tag.ping, (isAnswered) => isAnswered, () => silent).pipe(
    Effect.provide(layer),
    Effect.tapError((error) =>
      Effect.sync(() => {
        last = error
      })
    )
  )
  const tries = given.wait === undefined ? once : Effect.retry(once, {
    schedule: pause,
    while: (error) =>
      error._tag === "Answer" || error._tag === "TimeoutError" ||
      (error._tag === "ConnectionError" && !hopeless.has(error.reason))
  }).pipe(Effect.timeoutFail({ duration: given.wait, onTimeout: () => last }))
  return begun(given).pipe(
    Effect.zipRight(tries),
    Effect.as(true),
    (work) =>
      ending(work, {
        json: given.json,
        toJson: () => ({ millis: Date.now() - began }),
        show: () => `${given.database} answers (${elapsed(Date.now() - began)})`
      }),
    end
  )
}).pipe(
  Command.withDescription(
    "Whether the database answers; with --wait, keep trying until it does, for the start of a container."
  )
)

/** Nothing from a terminal: the user would not know that the program waits for input. */
const standardInput: Effect.Effect<string> = Effect.promise(async () => {
  if (process.stdin.isTTY === true) {
    return ""
  }
  const chunks: Array<Buffer> = []
  for await (const chunk of process.stdin) {
    // Without an encoding, standard input gives buffers.
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString("utf8")
})

/** `dblive query` */
export const query = Command.make(
  "query",
  {
    ...options.target,
    format: options.format,
    parameters: options.parameters,
    statement: Args.text({ name: "sql" }).pipe(
      Args.withDescription("One statement; without it, it is read from standard input"),
      Args.optional
    )
  },
  (given) => {
    const { layer, tag } = open(given)
    return begun(given).pipe(
      Effect.zipRight(Option.match(given.statement, { onNone: () => standardInput, onSome: Effect.succeed })),
      Effect.filterOrFail(
        (text) => text.trim() !== "",
        () => new UsageError("there is no statement: give one in quotes, or on standard input")
      ),
      Effect.flatMap((text) =>
        Effect.provide(
          tag.execute(text, Object.keys(given.parameters).length > 0 ? given.parameters : undefined),
          layer
        )
      ),
      (work) =>
        ending(work, {
          json: given.json,
          toJson: ({ lastInsertId, rows, rowsAffected }) => ({
            rows,
            rowsAffected,
            lastInsertId: lastInsertId ?? null
          }),
          show: ({ lastInsertId, rows, rowsAffected }) => {
            const headings = Object.keys(rows[0] ?? {})
            const values = () => rows.map((row) => headings.map((heading) => row[heading]))
            switch (given.format) {
              case "json":
                return toJson(rows)
              case "csv":
                return headings.length === 0 ? "" : csv(headings, values())
              case "table":
                return headings.length > 0
                  ? `${table(headings, values())}\n(${plural(rows.length, "row")}${
                    rowsAffected === 0 ? "" : `, ${rowsAffected} affected`
                  })`
                  : rowsAffected === 0
                  ? "no rows"
                  : `${plural(rowsAffected, "row")} affected${
                    lastInsertId === undefined ? "" : `, last insert id ${lastInsertId}`
                  }`
            }
          }
        }),
      end
    )
  }
).pipe(
  Command.withDescription("Run one statement and write its rows as a table, JSON or CSV, and how many it has written.")
)
