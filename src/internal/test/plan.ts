/**
 * Which fault strikes when: by a script, or by chance from a seed.
 */
import * as Duration from "effect/Duration"
import type { ConnectFault, StatementFault } from "./faults.js"

interface Repeated {
  /** The first event that it strikes, counted from 1 among those that the rule is about. Defaults to 1. */
  readonly nth?: number | undefined
  /** How many events in a row it strikes. Defaults to 1. */
  readonly times?: number | undefined
  /** By how much the event is delayed, before the fault, if there is one. Defaults to no delay. */
  readonly delay?: Duration.DurationInput | undefined
}

/**
 * The opening of a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectRule extends Repeated {
  readonly on: "connect"
  readonly fault?: ConnectFault | undefined
}

/**
 * A statement. `BEGIN` and its kin do not count, nor do migrations and seeds of the layer.
 *
 * @since 0.1.0
 * @category models
 */
export interface StatementRule extends Repeated {
  readonly on: "statement"
  /** Only statements whose text contains this, or is matched by it. Defaults to all. */
  readonly match?: string | RegExp | ((text: string) => boolean) | undefined
  readonly fault?: StatementFault | undefined
}

/**
 * The COMMIT of a transaction.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommitRule extends Repeated {
  readonly on: "commit"
  readonly fault?: StatementFault | undefined
}

/**
 * A time in which nothing works: connections are lost when it begins, and new ones refused until it ends.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutageRule {
  readonly on: "outage"
  /** When it begins, counted from the opening of the layer. Defaults to at once. */
  readonly after?: Duration.DurationInput | undefined
  /** How long it lasts. */
  readonly for: Duration.DurationInput
}

/**
 * One rule of a plan: what fails, and when.
 *
 * @since 0.1.0
 * @category models
 */
export type Rule = ConnectRule | StatementRule | CommitRule | OutageRule

/**
 * Faults by chance: probabilities from 0 to 1, per event. The same seed strikes the same events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Chance {
  readonly seed: number | string
  readonly connect?: Partial<Record<ConnectFault, number>> | undefined
  readonly statement?: Partial<Record<StatementFault, number>> | undefined
  readonly commit?: Partial<Record<StatementFault, number>> | undefined
  /** Delays of openings, statements and COMMITs. */
  readonly delay?: { readonly rate: number; readonly upTo: Duration.DurationInput } | undefined
}

/**
 * What is to go wrong: a script of rules, or chance.
 *
 * @since 0.1.0
 * @category models
 */
export type Plan = ReadonlyArray<Rule> | Chance

/**
 * A fault that has struck.
 *
 * @since 0.1.0
 * @category models
 */
export interface Injected {
  readonly on: "connect" | "statement" | "commit" | "outage"
  /** The event's number, counted from 1 among all of its kind. */
  readonly nth: number
  readonly fault: ConnectFault | StatementFault | "Delay" | "Outage"
  readonly delayMillis?: number | undefined
}

/** What happens to one event. */
export interface Strike<Fault> {
  readonly delayMillis: number
  readonly fault: Fault | undefined
}

type Kind = "connect" | "statement" | "commit"

const nothing: Strike<never> = { delayMillis: 0, fault: undefined }

/** Uniform in [0, 1), and the same for the same text: FNV-1a, then a finalizer that spreads it. */
const chanceOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

const isMatch = (match: StatementRule["match"], text: string): boolean =>
  match === undefined || (typeof match === "string"
    ? text.includes(match)
    : typeof match === "function"
    ? match(text)
    : new RegExp(match.source, match.flags.replace(/[gy]/g, "")).test(text))

/** A plan as it is carried out. */
export class Course {
  readonly injected: Array<Injected> = []
  private readonly counts: Record<Kind, number> = { connect: 0, statement: 0, commit: 0 }
  private readonly seen = new Map<Rule, number>()
  /** Statements and COMMITs count from here on: those that prepare the database are not the test's. */
  isArmed = false

  constructor(private readonly plan: Plan) {}

  get outages(): ReadonlyArray<{ readonly from: number; readonly until: number }> {
    return "seed" in this.plan ? [] : this.plan.flatMap((rule) => {
      if (rule.on !== "outage") {
        return []
      }
      const from = Duration.toMillis(rule.after ?? 0)
      return [{ from, until: from + Duration.toMillis(rule.for) }]
    })
  }

  connect(): Strike<ConnectFault> {
    // A rule on `connect` has only faults of it, and so has the table of chances.
    return this.strike("connect", undefined) as Strike<ConnectFault>
  }

  statement(text: string): Strike<StatementFault> {
    return this.strike("statement", text) as Strike<StatementFault>
  }

  commit(): Strike<StatementFault> {
    return this.strike("commit", undefined) as Strike<StatementFault>
  }

  outage(on: "connect" | "statement" | "commit"): void {
    this.injected.push({ on: "outage", nth: this.counts[on], fault: "Outage" })
  }

  private strike(kind: Kind, text: string | undefined): Strike<ConnectFault | StatementFault> {
    if (kind !== "connect" && !this.isArmed) {
      return nothing
    }
    const nth = ++this.counts[kind]
    const strike = "seed" in this.plan ? byChance(this.plan, kind, nth) : this.byScript(this.plan, kind, text)
    if (strike.delayMillis > 0) {
      this.injected.push({ on: kind, nth, fault: "Delay", delayMillis: strike.delayMillis })
    }
    if (strike.fault !== undefined) {
      this.injected.push({ on: kind, nth, fault: strike.fault })
    }
    return strike
  }

  private byScript(
    rules: ReadonlyArray<Rule>,
    kind: Kind,
    text: string | undefined
  ): Strike<ConnectFault | StatementFault> {
    let delayMillis = 0
    let fault: ConnectFault | StatementFault | undefined = undefined
    for (const rule of rules) {
      if (rule.on !== kind || (rule.on === "statement" && !isMatch(rule.match, text ?? ""))) {
        continue
      }
      const nth = (this.seen.get(rule) ?? 0) + 1
      this.seen.set(rule, nth)
      const first = rule.nth ?? 1
      if (nth >= first && nth < first + (rule.times ?? 1)) {
        delayMillis += Duration.toMillis(rule.delay ?? 0)
        fault ??= rule.fault
      }
    }
    return { delayMillis, fault }
  }
}

const byChance = (plan: Chance, kind: Kind, nth: number): Strike<ConnectFault | StatementFault> => {
  const roll = (what: string) => chanceOf(`${plan.seed}/${kind}/${nth}/${what}`)
  const rates = Object.entries(plan[kind] ?? {}) as ReadonlyArray<readonly [ConnectFault | StatementFault, number]>
  let fault: ConnectFault | StatementFault | undefined = undefined
  let rest = roll("fault")
  for (const [name, rate] of rates) {
    if (rest < rate) {
      fault = name
      break
    }
    rest -= rate
  }
  const { delay } = plan
  const delayMillis = delay !== undefined && roll("delay") < delay.rate
    ? Math.ceil(roll("length") * Duration.toMillis(delay.upTo))
    : 0
  return fault === undefined && delayMillis === 0 ? nothing : { delayMillis, fault }
}
