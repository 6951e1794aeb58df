/**
 * How far a primary has written: asked of it by one question for all that want to know at a time.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { DbError } from "../../DbError.js"
import type { Fork } from "../pool/DeadlineTimer.js"

/** An answer of the primary. */
export interface Answer {
  /** The number of the question, counted from 1. */
  readonly number: number
  /** When it was asked, in milliseconds. */
  readonly askedAt: number
  readonly position: bigint
}

interface Question {
  /** 0 until it begins. */
  number: number
  readonly answer: Deferred.Deferred<Answer, DbError>
}

const newQuestion = (): Question => ({ number: 0, answer: Deferred.unsafeMake<Answer, DbError>(FiberId.none) })

export class PrimaryPosition {
  /** How many questions have begun. */
  begun = 0
  private latest: Answer | undefined = undefined
  private running: Question | undefined = undefined
  /** Those that came too late for the one that runs wait for this one. */
  private next: Question | undefined = undefined

  constructor(
    private readonly ask: Effect.Effect<bigint, DbError>,
    private readonly clock: Clock.Clock,
    /** Runs a question beside those that wait for it: an interrupt of one is none for the others. */
    private readonly fork: Fork
  ) {}

  /** The answer to a question that began after so many others. */
  after(begun: number): Effect.Effect<Answer, DbError> {
    const { latest, running } = this
    if (latest !== undefined && latest.number > begun) {
      return Effect.succeed(latest)
    }
    const question = running === undefined
      ? this.start(newQuestion())
      : running.number > begun
      ? running
      : this.next ??= newQuestion()
    return Deferred.await(question.answer)
  }

  /** An answer that is not older than this, in milliseconds. */
  notOlder(millis: number): Effect.Effect<Answer, DbError> {
    const { latest } = this
    return latest !== undefined && latest.askedAt >= this.clock.unsafeCurrentTimeMillis() - millis
      ? Effect.succeed(latest)
      : this.after(this.begun)
  }

  private start(question: Question): Question {
    this.running = question
    const number = question.number = ++this.begun
    const askedAt = this.clock.unsafeCurrentTimeMillis()
    this.fork(
      this.ask.pipe(
        Effect.map((position): Answer => ({ number, askedAt, position })),
        Effect.tap((answer) => Effect.sync(() => this.latest = answer)),
        Effect.onExit((exit) => {
          this.running = undefined
          const { next } = this
          this.next = undefined
          if (next !== undefined) {
            this.start(next)
          }
          return Deferred.done(question.answer, exit)
        }),
        Effect.exit
      )
    )
    return question
  }
}
