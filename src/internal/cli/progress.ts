/**
 * What is shown while migrations run: a bar on a terminal, plain lines elsewhere. It goes to standard error, so that
 * standard output holds the result only.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { MigrationEvent } from "../migrator/Options.js"
import { elapsed } from "./text.js"

/** Where progress is written: standard error, or a test's. */
export interface Screen {
  readonly isTTY: boolean
  readonly columns: number
  readonly write: (text: string) => void
}

/** What a bar on the screen does when other lines are written: it makes way, and is drawn again below them. */
let shown: { readonly clear: () => void; readonly draw: () => void } | undefined

/** Writes lines above the bar, where there is one. */
export const above = (write: () => void): void => {
  shown?.clear()
  write()
  shown?.draw()
}

/** How often the elapsed time is drawn again. */
const refresh = 100

const barWidth = 24

/** Receives the events of a run until the scope closes. */
export const make = (
  screen: Screen
): Effect.Effect<(event: MigrationEvent) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function*() {
    if (!screen.isTTY) {
      return (event: MigrationEvent) => Effect.sync(() => plain(screen, event))
    }
    const began = Date.now()
    let done = 0
    let total = 0
    let doing = ""
    let drawn = ""
    const draw = () => {
      const filled = total === 0 ? 0 : Math.round((done / total) * barWidth)
      const bar = `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}]`
      const line = `${bar} ${done}/${total}  ${elapsed(Date.now() - began)}  ${doing}`.slice(0, screen.columns - 1)
      if (line !== drawn) {
        drawn = line
        screen.write(`\r\u001b[2K${line}`)
      }
    }
    const clear = () => {
      if (drawn !== "") {
        drawn = ""
        screen.write("\r\u001b[2K")
      }
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        shown = {
          clear,
          // Nothing has begun, or all has ended.
          draw: () => doing === "" ? undefined : draw()
        }
        return setInterval(() => drawn === "" ? undefined : draw(), refresh)
      }),
      (timer) =>
        Effect.sync(() => {
          shown = undefined
          clearInterval(timer)
          clear()
        })
    )
    return (event: MigrationEvent) =>
      Effect.sync(() => {
        switch (event._tag) {
          case "Waiting":
            clear()
            return plain(screen, event)
          case "Started":
            total = event.total
            done = event.index - 1
            doing = event.script
            return draw()
          case "Statement":
            doing = `${event.script}, statement ${event.count}`
            return
          case "Ended":
            done = event.index
            return draw()
        }
      })
  })

const plain = (screen: Screen, event: MigrationEvent): void => {
  switch (event._tag) {
    case "Waiting":
      return screen.write(`waiting for another runner: ${event.holder}\n`)
    case "Started":
      return screen.write(`${event.index}/${event.total} ${event.script} ...\n`)
    case "Statement":
      return
    case "Ended":
      return screen.write(`${event.index}/${event.total} ${event.script} done in ${elapsed(event.millis)}\n`)
  }
}
