/**
 * The program: parses the arguments, runs the command, gives the exit code.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { onConsoleError } from "../effect/logger.js"
import { type Asked, read, words } from "./arguments.js"
import { exit } from "./command.js"
import { dblive, entries } from "./commands.js"
import { canonical } from "./database.js"
import { runner } from "./effectCli.js"
import { commandHelp, commandJson, overview, overviewJson } from "./help.js"
import { own } from "./package.js"
import { above } from "./progress.js"
import { defect, exitCodes, failed, received, UsageError } from "./report.js"
import { onError } from "./style.js"
import { toJson } from "./text.js"

const { version } = own()

const run = runner(dblive, version, above)

/** Standard output holds results only. A line of the log is one of the command's own. */
const logger = onConsoleError(({ annotations, cause, level: word, message }) => {
  const texts = Array.isArray(message) ? message : [message]
  const details = [...annotations].map(([key, value]) =>
    `${key}=${typeof value === "string" ? value : toJson(value, 0)}`
  )
  const level = word === "warn" ? "warning" : word
  return [
    `${onError(level === "warning" ? "warning" : level === "error" ? "error" : "faint", `${level}:`)} ${
      texts.map((text) => typeof text === "string" ? text : toJson(text, 0)).join(" ")
    }${details.length === 0 ? "" : ` (${details.join(", ")})`}`,
    ...(Cause.isEmpty(cause) ? [] : [Cause.pretty(cause)])
  ].join("\n")
})

/**
 * The command line with these arguments; gives the exit code. It takes the folder, the environment and standard input of
 * the process, and writes to `Console`.
 */
export const program = (argv: ReadonlyArray<string>): Effect.Effect<number> =>
  Effect.tap(Effect.suspend(() => answer(read(argv.slice(2), shapes))), (code) =>
    Effect.sync(() => {
      exit.code = code
    }))

const shapes = entries.map(({ shape }) => shape)

/** Text for a reader, or the same for programs. */
const told = (wantsJson: boolean, text: () => string, data: () => object): Effect.Effect<void> =>
  Console.log(wantsJson ? toJson({ ok: true, ...data() }) : text())

/** A call that cannot be meant. */
const refused = (wantsJson: boolean, message: string, command: string | undefined): Effect.Effect<number> =>
  Effect.as(
    failed(wantsJson, new UsageError(`${message}\nnext: dblive ${command === undefined ? "" : `${command} `}--help`)),
    exitCodes.usage
  )

const answer = ({ json: wantsJson, logLevel, what }: Asked): Effect.Effect<number> => {
  switch (what._tag) {
    case "Version":
      return Effect.as(told(wantsJson, () => version, () => ({ version })), exitCodes.done)
    case "Overview": {
      // Without a command nothing was asked for that could be done.
      const text = told(wantsJson, () => overview(entries, version), () => overviewJson(entries, version))
      return Effect.as(text, what.isAsked ? exitCodes.done : exitCodes.usage)
    }
    case "Help": {
      const entry = entries.find(({ shape }) => shape === what.shape)!
      return Effect.as(told(wantsJson, () => commandHelp(entry), () => commandJson(entry)), exitCodes.done)
    }
    case "Fault":
      return refused(wantsJson, what.message, what.command)
    case "Passed":
      return command(what.words, wantsJson, undefined)
    case "Call":
      return Effect.flatMap(
        canonical(what),
        (call) =>
          command(
            // As one word: `info` is a command, too.
            [...(logLevel === undefined ? [] : [`--log-level=${logLevel}`]), ...words(call)],
            wantsJson,
            call.shape.name
          )
      )
  }
}

const command = (words: ReadonlyArray<string>, wantsJson: boolean, name: string | undefined): Effect.Effect<number> => {
  exit.code = exitCodes.done
  return run(words).pipe(
    Effect.as(true),
    Effect.catchAll((fault) =>
      Effect.map(refused(wantsJson, fault, name), (code) => {
        exit.code = code
        return true
      })
    ),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.succeed(false)
        : Effect.as(defect(wantsJson, cause), false)
    ),
    Effect.map((hasEnded) => hasEnded || exit.code !== exitCodes.done ? exit.code : exitCodes.failed),
    Logger.withMinimumLogLevel(LogLevel.Warning),
    Effect.provide(Layer.merge(NodeContext.layer, logger)),
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
