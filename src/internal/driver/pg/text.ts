/**
 * What can be known of a statement from its text alone: how it must be sent, and whether it may leave something behind
 * in the session.
 */
import { type Control, controlOf, isWord, type Statement, statementsOf, wordSet } from "../../sql/classify.js"
import { syntaxes } from "../../sql/Syntax.js"

export interface Text {
  /** Why the text cannot be sent as it is. */
  readonly fault: string | undefined
  /** More than one statement. */
  readonly several: boolean
  /** SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES, TABLE or WITH: runs in any transaction, and is undone by it. */
  readonly plain: boolean
  /** The columns of the answer may differ from one run to the next. */
  readonly shapeless: boolean
  /** A COMMIT, END or PREPARE TRANSACTION is among the statements. */
  readonly commits: boolean
  /** Begins with ROLLBACK or ABORT. */
  readonly rollsBack: boolean
  /** One statement, that begins or ends a transaction or savepoint: it takes no time and no limit. */
  readonly controls: boolean
  /** Outside a transaction, a part of it may stay though the whole fails: CALL, DO, CONCURRENTLY, VACUUM and their like. */
  readonly partial: boolean
  /**
   * May change what the session's next user would see: settings, temporary tables, session locks, cursors, prepared
   * statements. Rather too often true than once too rarely. What views, triggers and functions of one's own do out of
   * sight of the text is not seen.
   */
  readonly dirty: boolean
  /** Ends transactions: a COMMIT, ROLLBACK or their like is among the statements. */
  readonly ends: boolean
  /** One statement that runs in no transaction: VACUUM, CREATE DATABASE, CREATE INDEX CONCURRENTLY and their like. */
  readonly alone: boolean
  /**
   * What it is sure to leave behind in the session, in words. A pooler in transaction mode would give it to the next
   * transaction of any client, or keep it for ever.
   */
  readonly lasting: string | undefined
  /** What of that the last statement leaves behind, so that nothing in the text can have used it. */
  readonly left: string | undefined
  /** Takes what is kept by holding the session (LISTEN, a lock of the session), or gives all of it back at once. */
  readonly holding: "takes" | "releases" | undefined
  /** Removes prepared statements, or makes ones that are not ours. */
  readonly forgets: boolean
  /**
   * May change what prepared statements were made from: the schema, or where names are looked up. DDL that a SELECT does
   * by a function of one's own is not seen.
   */
  readonly reshapes: boolean
  /** Names a setting that limits statements, locks or transactions, and so may set it. */
  readonly limits: boolean
  /**
   * That it may be sent behind other statements outside of a transaction: a `read` changes nothing and waits for no lock of a row, a
   * `write` is undone as a whole when it fails. `undefined` where it is neither, or cannot be told from its text.
   */
  readonly sharing: "read" | "write" | undefined
}

const plain = wordSet("select insert update delete merge values table with")
const partial = wordSet("call do vacuum cluster reindex")
const shapeless = wordSet("fetch execute call move")
const forgetting = wordSet("prepare deallocate discard")

/** Statements after which a prepared one may take other parameters, or give other columns. */
const reshaping = wordSet("create alter drop import reassign do call set reset")

/** Statements of which all that they do is done to the session. */
const ofSession = wordSet("listen unlisten load discard deallocate reset")

/** A SET of these ends with its transaction. */
const ofTransaction = wordSet("local transaction constraints")

/** After these a temporary table, view or sequence is meant. */
const making = wordSet("create into local global replace")

/** Statements that go back to the beginning of the transaction, or to a savepoint. */
const goingBack = wordSet("rollback abort")

/** What a CREATE or DROP makes or removes outside of any transaction. */
const ofServer = wordSet("database tablespace subscription")

/** What a REINDEX does outside of any transaction. */
const reindexed = wordSet("database schema system")

const advisoryLock = /^(?:PG_CATALOG\.)?PG_(?:TRY_)?ADVISORY_(?:LOCK|UNLOCK)/
const takesLock = /^(?:PG_CATALOG\.)?PG_(?:TRY_)?ADVISORY_LOCK/
const releasesLocks = /^(?:PG_CATALOG\.)?PG_ADVISORY_UNLOCK_ALL$/

/** Whether a call of `set_config`, from behind its parenthesis on, holds for the transaction only: its last argument is `true`. */
const isLocal = (tokens: ReadonlyArray<string>, from: number): boolean => {
  let argument = from
  let depth = 1
  let at = from
  for (; at < tokens.length && depth > 0; at++) {
    const token = tokens[at]
    if (token === "(") depth++
    else if (token === ")") depth--
    else if (token === "," && depth === 1) argument = at + 1
  }
  return depth === 0 && /^(?:IS_LOCAL = > )?TRUE$/.test(tokens.slice(argument, at - 1).join(" "))
}

/** Statements that leave nothing behind in the session by themselves. */
const clean = wordSet(`
  select insert update delete merge values table with explain begin start commit end rollback abort savepoint release
  show truncate comment grant revoke analyze vacuum lock refresh cluster reindex checkpoint notify create alter drop
`)

/** Words before which, or after which, a parenthesis is no call. */
const keywords = wordSet(`
  all and any array as asc between by case check coalesce collate conflict constraint cube default desc distinct do else
  end except analyze explain vacuum reindex cluster exists extract filter for foreign from full group grouping having if ilike in include inner intersect into
  is isnull join key lateral left like limit materialized not notnull null nullif of offset on only or order outer over
  overlaps partition primary recursive references returning right rollup row rows select set sets similar some
  symmetric table tablesample then to unbounded union unique update using values view when where window with within
  bigint bit boolean char character date dec decimal double float int integer interval numeric real smallint text time
  timestamp timestamptz varchar varying uuid json jsonb bytea cast greatest least overlay position precision substring
  treat trim option add column exclude btree hash gin gist brin spgist
`)

/** Those of them that may be the name of a function of one's own, and stand before a parenthesis in no statement that is plain. */
const callable = wordSet(`
  add brin btree cluster column double exclude explain full gin gist hash if include inner isnull key notnull of option
  outer partition recursive reindex rows similar spgist tablesample unbounded vacuum view within
`)

/** ... and those that stand there as keywords behind these, or behind what is written as `)`. */
const callableBut: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["BY", wordSet("group order partition")],
  ["CONFLICT", wordSet("on")],
  ["CUBE", wordSet("by")],
  ["FILTER", wordSet(")")],
  ["ILIKE", wordSet(") '' not")],
  ["JOIN", wordSet(") left right full inner outer")],
  ["MATERIALIZED", wordSet("as not")],
  ["OVER", wordSet(")")],
  ["ROLLUP", wordSet("by")],
  ["SETS", wordSet("grouping")],
  ["VARYING", wordSet("char character bit")]
])

/** Keywords that stand behind an operand. */
const infix = wordSet("ilike join")

/** Words after which a name with a parenthesis is a table, an alias or a list of columns. */
const naming = wordSet("into as with recursive table view references exists")

/** Functions of PostgreSQL's own that change nothing in the session. */
const harmless = wordSet(`
  abs acos acosh age array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims
  array_position array_positions array_prepend array_remove array_replace array_reverse array_sort array_to_json
  array_to_string array_to_tsvector array_upper ascii asin asinh atan atan2 atanh avg bit_and bit_count bit_length
  bit_or bit_xor bool_and bool_or broadcast btrim cardinality casefold cbrt ceil ceiling char_length character_length
  chr clock_timestamp concat concat_ws convert convert_from convert_to corr cos cosh cot count covar_pop covar_samp
  crc32 crc32c cume_dist current_catalog current_database current_date current_role current_schema current_schemas
  current_setting current_time current_timestamp current_user currval date_add date_bin date_part date_subtract
  date_trunc decode degrees dense_rank div encode enum_first enum_last enum_range erf erfc every exp factorial family
  first_value floor format format_type gamma gcd gen_random_uuid generate_series generate_subscripts get_bit get_byte
  has_column_privilege has_database_privilege has_function_privilege has_schema_privilege has_sequence_privilege
  has_table_privilege host inet_client_addr inet_client_port inet_server_addr inet_server_port initcap isempty isfinite
  json json_agg json_agg_strict json_array json_array_elements json_array_elements_text json_array_length
  json_arrayagg json_build_array json_build_object json_each json_each_text json_exists json_extract_path
  json_extract_path_text json_object json_object_agg json_object_agg_unique json_object_keys json_objectagg
  json_populate_record json_populate_recordset json_query json_scalar json_serialize json_strip_nulls json_table
  json_to_record json_to_recordset json_to_tsvector json_typeof json_value jsonb_agg jsonb_agg_strict
  jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each
  jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
  jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
  jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax
  jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_typeof justify_days justify_hours
  justify_interval lag last_value lastval lcm lead length lgamma ln localtime localtimestamp log log10 lower
  lower_inc lower_inf lpad ltrim make_date make_interval make_time make_timestamp make_timestamptz masklen max md5 merge_action
  min min_scale mod mode mxid_age netmask network nextval normalize now nth_value ntile num_nonnulls num_nulls
  numnode obj_description octet_length parse_ident percent_rank percentile_cont percentile_disc
  pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_backend_pid pg_blocking_pids pg_cancel_backend
  pg_client_encoding pg_column_size pg_control_system pg_current_snapshot pg_current_wal_insert_lsn pg_current_wal_lsn
  pg_current_xact_id pg_current_xact_id_if_assigned
  pg_database_size pg_get_constraintdef pg_get_expr pg_get_functiondef pg_get_indexdef pg_get_serial_sequence
  pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_indexes_size pg_is_in_recovery pg_last_wal_receive_lsn
  pg_last_wal_replay_lsn pg_notify pg_postmaster_start_time
  pg_relation_size pg_size_pretty pg_sleep pg_sleep_for pg_sleep_until pg_snapshot_xmax pg_table_is_visible pg_table_size
  pg_terminate_backend pg_total_relation_size pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_typeof pg_walfile_name
  pg_xact_status phraseto_tsquery pi plainto_tsquery power querytree quote_ident quote_literal quote_nullable radians
  random random_normal range_agg range_intersect_agg range_merge rank regexp_count regexp_instr regexp_like
  regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx
  regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse round
  row_number row_to_json rpad rtrim scale session_user setval setweight sha224 sha256 sha384 sha512
  shobj_description sign sin sinh split_part sqrt starts_with statement_timestamp stddev stddev_pop stddev_samp
  string_agg string_to_array string_to_table strip strpos substr sum tan tanh timeofday timezone to_ascii to_bin
  to_char to_date to_hex to_json to_jsonb to_number to_oct to_regclass to_regproc to_regtype to_timestamp to_tsquery
  to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_delete ts_filter ts_headline ts_lexize
  ts_rank ts_rank_cd tsvector_to_array txid_current txid_current_if_assigned txid_current_snapshot txid_status
  unicode_version unistr unnest upper upper_inc upper_inf uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7
  var_pop var_samp variance version websearch_to_tsquery width_bucket xmlagg xmlcomment xmlconcat xmlelement xmlexists
  xmlforest xmlparse xmlpi xmlroot xmlserialize xmltable
`)

/** Words of a statement that changes rows, or makes a table. FOR UPDATE is among them, and waits. */
const changing = wordSet("insert update delete merge into")

/** What a lock of rows is named behind FOR. */
const rowLock = wordSet("update share no key")

/** Functions of PostgreSQL's own that change what others see. */
const effective = wordSet("nextval setval pg_notify pg_current_xact_id txid_current")

/** Functions of PostgreSQL's own that wait, stop others, or tell what the session did before. */
const unshared = wordSet(`
  currval lastval pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_cancel_backend pg_sleep pg_sleep_for pg_sleep_until
  pg_terminate_backend pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
`)

const limitSettings = /\b(?:statement|lock|idle_in_transaction_session|transaction)_timeout\b/i

// `isWellFormed` is in Node 20, not yet in the ES2023 library types.
const isWellFormed = (text: string): boolean => (text as unknown as { isWellFormed(): boolean }).isWellFormed()

/** What a statement does to the session, by itself or by a call in it. */
class Look {
  /** What it is sure to leave behind, in words. */
  leaves: string | undefined = undefined
  holding: Text["holding"] = undefined
  dirty = false
  isConcurrent = false
  /** Changes rows, or what others see. */
  writes = false
  /** Waits for a lock or for time, stops others, or depends on what its session did before. */
  isBound = false
  private makesTemporary = false
  private isOfSettings = false
  /** The words before the token that is looked at. */
  private before = ""
  private name = ""
  private isQualified = false

  constructor(private readonly tokens: ReadonlyArray<string>, readonly first: string, readonly second: string) {
    this.verb()
    for (let at = 0; at < tokens.length; at++) this.token(tokens[at]!, at)
    // An UPDATE of this view is a SET.
    if (this.isOfSettings && this.writes) this.dirty = true
    if (this.makesTemporary) this.leave("a temporary table, view or sequence")
  }

  private leave(what: string): void {
    this.leaves ??= what
  }

  private verb(): void {
    const { first, second } = this
    this.dirty = !clean.has(first) || (first === "CREATE" && second === "EXTENSION")
    if (ofSession.has(first)) this.leave(first)
    if (first === "LISTEN") this.holding = "takes"
    if ((first === "UNLISTEN" && this.tokens[1] === "*") || (first === "DISCARD" && second === "ALL")) {
      this.holding = "releases"
    }
    if (first === "PREPARE" && second !== "TRANSACTION" && second !== "") this.leave("PREPARE")
    if (first === "SET") {
      this.dirty = second !== "" && !ofTransaction.has(second)
      if (this.dirty) this.leave("SET")
    }
  }

  private token(token: string, at: number): void {
    const isQuoted = token.charCodeAt(0) === 34
    if (isQuoted || isWord(token)) {
      if (!isQuoted || token.startsWith("\"pg_temp")) this.word(token)
      if (token === "PG_SETTINGS" || token === "\"pg_settings\"") this.isOfSettings = true
      if (this.isQualified) {
        this.name = `${this.name}.${token}`
      } else {
        this.before = this.name
        this.name = token
      }
      this.isQualified = false
    } else if (token === "." && this.name !== "") {
      this.isQualified = true
    } else {
      if (token === "(") this.call(at + 1)
      this.before = ""
      this.name = ""
      this.isQualified = false
    }
  }

  private word(word: string): void {
    const { first, name } = this
    const isTemporary = (word === "TEMP" || word === "TEMPORARY") && making.has(name)
    const isOfSchema = word.startsWith("PG_TEMP") || word.startsWith("\"pg_temp")
    if (isTemporary || (first === "CREATE" && isOfSchema)) this.makesTemporary = true
    if (word === "CONCURRENTLY") this.isConcurrent = true
    // Between the name of a function and its parenthesis may stand how the name is escaped.
    if (word === "UESCAPE") this.dirty = true
    if (changing.has(word)) this.writes = true
    if (name === "FOR" && rowLock.has(word)) this.isBound = true
    if (word === "DROP" && name === "COMMIT") this.makesTemporary = false
    if (word === "HOLD" && name === "WITH" && first === "DECLARE") this.leave("a cursor WITH HOLD")
    this.dirty ||= isTemporary || isOfSchema || (first === "EXPLAIN" && (word === "EXECUTE" || word === "DECLARE"))
  }

  /** A parenthesis behind a name. */
  private call(from: number): void {
    const { before, first, name, second, tokens } = this
    if (advisoryLock.test(name)) {
      this.leave("an advisory lock of the session")
      this.holding = takesLock.test(name) ? "takes" : releasesLocks.test(name) ? "releases" : this.holding
    }
    const own = name.startsWith("PG_CATALOG.") ? name.slice("PG_CATALOG.".length) : name
    if (effective.has(own)) this.writes = true
    if (unshared.has(own)) this.isBound = true
    if (/^(?:PG_CATALOG\.)?SET_CONFIG$/.test(name) && !isLocal(tokens, from)) this.leave("set_config for the session")
    this.dirty ||= name !== "" && !this.isKeyword(from) && !harmless.has(name) && !naming.has(before) &&
      !(first === "CREATE" && (second === "INDEX" || second === "UNIQUE") && before === "ON")
  }

  /** The name before a parenthesis is none of a function. */
  private isKeyword(from: number): boolean {
    const { before, first, name, tokens } = this
    if (!keywords.has(name)) return false
    if (!plain.has(first)) return true
    if (name === "SET") return this.writes
    const behind = callableBut.get(name)
    return behind === undefined
      ? !callable.has(name)
      : behind.has(before === "" ? tokens[from - 3] ?? "" : before) ||
        (infix.has(name) && before !== "" && !keywords.has(before))
  }
}

const isName = (token: string): boolean => token.charCodeAt(0) === 34 || isWord(token)

const lookAt = ({ tokens }: Statement): Look => {
  const [first = ""] = tokens
  // `(SELECT ...) UNION ...`: as plain as what stands inside, which is looked at word by word.
  return new Look(tokens, isName(first) ? first : "SELECT", tokens.find((token, at) => at > 0 && isName(token)) ?? "")
}

/** A statement that runs in no transaction. */
const isAlone = ({ first, isConcurrent, second }: Look): boolean =>
  first === "VACUUM" || (ofServer.has(second) && (first === "CREATE" || first === "DROP")) ||
  (first === "ALTER" && second === "SYSTEM") || (first === "REINDEX" && reindexed.has(second)) ||
  (isConcurrent && first !== "REFRESH")

const ends = (kind: Control | undefined): boolean =>
  kind === "commit" || kind === "rollback" || kind === "prepare" || kind === "prepared"

/** How a statement may share its connection. What is not known of it, it may not. */
const sharingOf = ({ dirty: isDirty, first, isBound, leaves, writes }: Look): Text["sharing"] =>
  !plain.has(first) || isDirty || isBound || leaves !== undefined ? undefined : writes ? "write" : "read"

const faultOf = (text: string): string | undefined =>
  text.includes("\0")
    ? "the statement contains a NUL character"
    : isWellFormed(text)
    ? undefined
    : "the statement contains a lone surrogate, which UTF-8 cannot express"

/** Reads a text. Linear in its length; the caller remembers the answer. */
export const scan = (text: string): Text => {
  const statements = statementsOf(text, syntaxes.pg)
  const looks = statements.map(lookAt)
  const kinds = statements.map(({ tokens }) => controlOf(tokens))
  const only = looks.length === 1 ? looks[0] : undefined
  const begins = (table: ReadonlySet<string>): boolean => looks.some(({ first }) => table.has(first))
  const fault = faultOf(text)
  const hasBackslash = statements.some((statement) => statement.hasBackslash)
  const limits = limitSettings.test(text)
  return {
    fault,
    several: looks.length > 1,
    plain: only !== undefined && plain.has(only.first),
    shapeless: begins(shapeless),
    commits: kinds.some((kind, index) => ends(kind) && !goingBack.has(looks[index]!.first)),
    rollsBack: goingBack.has(looks[0]?.first ?? ""),
    controls: only !== undefined && kinds[0] !== undefined && only.first !== "PREPARE" && only.first !== "SET",
    partial: begins(partial) || looks.some(({ isConcurrent }) => isConcurrent),
    // With standard_conforming_strings off a string with a backslash would end elsewhere: be on the safe side.
    dirty: looks.some(({ dirty: isDirty }) => isDirty) || hasBackslash,
    ends: kinds.some(ends),
    alone: only !== undefined && isAlone(only),
    lasting: looks.find(({ leaves }) => leaves !== undefined)?.leaves,
    left: looks.at(-1)?.leaves,
    holding: looks.findLast(({ holding }) => holding !== undefined)?.holding,
    forgets: begins(forgetting),
    reshapes: begins(reshaping),
    // In the raw text: set_config has its name in a string.
    limits,
    sharing: only === undefined || fault !== undefined || hasBackslash || limits ? undefined : sharingOf(only)
  }
}

/** What these take back is not there where they run outside of a session. */
const takingBack: ReadonlySet<string> = new Set(["UNLISTEN", "DISCARD", "DEALLOCATE", "RESET"])

/** What the last statement of a text leaves in its session for statements to come, in words. */
export const leftBehind = (text: string): string | undefined => {
  const { left } = scan(text)
  return left === undefined || takingBack.has(left) ? undefined : left
}

/** Longer texts are read anew: to read one costs nothing beside running it, and to keep many costs memory. */
const longest = 16_384

/** Texts that were read before, so that a text is read once per database and not once per run. Bounded. */
export class Texts {
  private readonly known = new Map<string, Text>()
  constructor(private readonly limit: number) {}

  of(text: string): Text {
    const known = this.known.get(text)
    if (known !== undefined) return known
    if (text.length > longest) return scan(text)
    if (this.known.size >= this.limit) this.known.clear()
    const read = scan(text)
    this.known.set(text, read)
    return read
  }
}
