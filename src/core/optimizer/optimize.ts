import type { OperationContext } from "../operation.ts";
import type { Task } from "../task/task.ts";
import type { Blocked } from "../provision/places.ts";
import { askForTask, type RankedOffer, type Rejection, type TaskAnswers } from "./candidates.ts";
import { explainInfeasible, infeasibleLines, refuseUnknownTypes } from "./infeasible.ts";
import { rateOf } from "./rates.ts";

export interface Ranking {
  /** Best first: cheapest, a preference list in its own order. */
  readonly offers: readonly RankedOffer[];
  readonly rejected: readonly Rejection[];
  readonly suggestions: readonly string[];
  /** What the clouds answered to each candidate, in their own order. */
  readonly answers: TaskAnswers;
  /** What has to be said before the table: a preference list, candidates that nothing satisfies. */
  readonly notices: readonly string[];
}

export interface RankOptions {
  /** Places that are left out, e.g. because they had no capacity a moment ago. */
  readonly blocked?: readonly Blocked[];
}

/**
 * Asks every enabled cloud for offers and ranks them: cheapest for all nodes first, equals in the order of the clouds and of each
 * cloud's preference; a preference list in its own order. Throws NoCloudAccessError, InvalidValueError for an instance type that does not
 * exist, and ResourcesUnavailableError when nothing fits.
 */
export async function rankOffers(task: Task, context: OperationContext, options: RankOptions = {}): Promise<Ranking> {
  const answers = await askForTask(task, context, options.blocked);
  refuseUnknownTypes(answers, context);
  const notices = infeasibleLines(answers);
  const offers = ranked(answers);
  if (offers.length === 0) {
    for (const line of notices) context.log.line(line);
    throw await explainInfeasible(answers, context);
  }
  return {
    offers,
    rejected: answers.answers.flatMap((answer) => answer.rejected),
    suggestions: [...new Set(answers.answers.flatMap((answer) => answer.suggestions))],
    answers,
    notices,
  };
}

function ranked({ task, answers }: TaskAnswers): readonly RankedOffer[] {
  const byCost = (a: RankedOffer, b: RankedOffer): number =>
    rateOf(a.offer, task.numNodes) - rateOf(b.offer, task.numNodes);
  const perCandidate = answers.map((answer) => [...answer.offers].sort(byCost));
  return task.resources.kind === "ordered" ? perCandidate.flat() : perCandidate.flat().sort(byCost);
}
