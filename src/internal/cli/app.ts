/**
 * The program: parses the arguments, runs the command, gives the exit code.
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as Span from "@effect/cli/HelpDoc/Span"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { readFileSync } from "node:fs"
import { exit } from "./command.js"
import { dblive } from "./commands.js"
import { above, writtenAbove } from "./progress.js"
import { exitCodes, received } from "./report.js"
import { withoutColours } from "./text.js"

/** The version of the package this file belongs to: two folders up, from `src/cli` and from `dist/cli`. */
const version = (): string => {
  // The package's own file; its `version` is a text.
  const parsed = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
    version: string
  }
  return parsed.version
}

const run = Command.run(dblive, {
  name: "dblive",
  version: version(),
  executable: "dblive",
  summary: Span.text("migrations and questions for your databases")
})

/** The list of commands that @effect/cli would write has every option of every command in it. */
const overview = (): string =>
  `dblive ${version()}: migrations and questions for your databases

Usage: dblive <command> [options]        dblive <command> --help explains it

Migrations
  migrate            apply what is pending, one runner at a time
  status             the current version and the state of each migration
  plan               the SQL that migrate would run
  validate           check that everything is applied and unchanged
  repair             mend the history: failed rows, checksums of edited files
  baseline [VERSION] say that a database is at a version already
  undo               take back the latest version, or down to --target
  new NAME           write the file of the next migration

The database
  ping               whether it answers; --wait 30s keeps trying
  health             whether it answers, how fast, and the pool's figures
  info               what the configuration leads to
  query SQL          run one statement; --format table, json or csv

Which database (all commands but new)
  -d, --database NAME     a configured one; "default" is DATABASE_URL or DATABASE_*
  --url URL               another address; the password comes from DATABASE_PASSWORD,
                          DATABASE_PASSWORD_FILE or --password-file
  --env ENVIRONMENT       production, development or test
  --create                a new SQLite file, where nothing configures the database

Everywhere
  --json                  one JSON value on standard output
  -h, --help              what a command does, and all its options
  --completions SHELL     a script for bash, zsh or fish
  --log-level LEVEL       debug shows what happens
  --version

Examples
  dblive new "Create users"
  dblive migrate --env production
  dblive status --database SurveyHub --json
  dblive ping --wait 30s && node server.js
  dblive query "SELECT * FROM users WHERE name = :name" --param name=Ada --format csv

Migrations are files in migrations/NAME of the database: V001__Create_users.sql runs once,
R__Views.sql whenever it changes, U001__Create_users.sql takes V001 back.

Exit codes: 0 done, 1 failed, 2 called wrongly, 3 migrations pending or invalid,
130 and 143 interrupted by SIGINT (Ctrl-C) and SIGTERM
`

/** Help and errors are written in colours, which a pipe or a file has no use for. */
const withoutColoursElsewhere = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const colours = process.env["NO_COLOR"] === undefined || process.env["NO_COLOR"] === ""
  return Effect.flatMap(Console.consoleWith(Effect.succeed), (console) => {
    const through = (stream: NodeJS.WriteStream, log: (...args: ReadonlyArray<unknown>) => Effect.Effect<void>) =>
      stream.isTTY === true && colours
        ? log
        : (...args: ReadonlyArray<unknown>) =>
          log(...args.map((arg) => typeof arg === "string" ? withoutColours(arg) : arg))
    const log = through(process.stdout, console.log)
    const error = through(process.stderr, console.error)
    return Effect.withConsole(effect, {
      ...console,
      // Also while a bar is on the screen.
      log: (...args) => writtenAbove(log(...args)),
      error: (...args) => writtenAbove(error(...args)),
      unsafe: { ...console.unsafe, error: (...args) => above(() => console.unsafe.error(...args)) }
    })
  })
}

/** @effect/cli takes its own options before the command only; here they may stand anywhere. */
const inFront = (option: string, argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const at = argv.findIndex((arg) => arg === option || arg.startsWith(`${option}=`))
  if (at < 0) {
    return argv
  }
  const length = argv[at] === option ? 2 : 1
  return [...argv.slice(0, 2), ...argv.slice(at, at + length), ...argv.slice(2, at), ...argv.slice(at + length)]
}

/** Standard output holds results only. */
const logger = Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))

/**
 * The command line with these arguments; gives the exit code. It takes the folder, the environment and standard input of
 * the process, and writes to `Console`.
 */
export const program = (argv: ReadonlyArray<string>): Effect.Effect<number> =>
  Effect.tap(Effect.suspend(() => command(argv)), (code) =>
    Effect.sync(() => {
      exit.code = code
    }))

const command = (argv: ReadonlyArray<string>): Effect.Effect<number> => {
  const first = argv[2]
  if (first === "--version") {
    return Effect.as(Console.log(version()), exitCodes.done)
  }
  if (first === undefined || first === "help" || first === "--help" || first === "-h") {
    // Without a command nothing was asked for that could be done.
    return Effect.as(Console.log(overview().trimEnd()), first === undefined ? exitCodes.usage : exitCodes.done)
  }
  exit.code = exitCodes.done
  return run(inFront("--log-level", argv)).pipe(
    Effect.as(true),
    // @effect/cli has written what is wrong already.
    Effect.catchIf(ValidationError.isValidationError, () =>
      Effect.sync(() => {
        exit.code = exitCodes.usage
        return true
      })),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.succeed(false)
        : Effect.as(Console.error(Cause.pretty(cause)), false)
    ),
    Effect.map((ended) => ended || exit.code !== exitCodes.done ? exit.code : exitCodes.failed),
    withoutColoursElsewhere,
    Logger.withMinimumLogLevel(LogLevel.Warning),
    Effect.provide(Layer.mergeAll(NodeContext.layer, CliConfig.layer({ showBuiltIns: false }), logger)),
    Effect.scoped
  )
}

/** Runs the command line with the arguments of the process. */
export const main = (argv: ReadonlyArray<string>): void => {
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") {
      process.exit(exit.code)
    }
    throw error
  })
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      received.signal = signal
    })
  }
  NodeRuntime.runMain(program(argv), {
    disablePrettyLogger: true,
    teardown: (result, onExit) =>
      onExit(
        received.signal !== undefined && exit.code === exitCodes.done
          // It came before or between the work of the command.
          ? exitCodes.interrupted[received.signal]
          : result._tag === "Failure" && exit.code === exitCodes.done
          ? exitCodes.failed
          : exit.code
      )
  })
}
