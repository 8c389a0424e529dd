"""Audit readings: compare them with the truth, sum them up by batch, and report them for people."""

from serialread.auditing.agreement_study import Agreement, agreement
from serialread.auditing.assessment import Audit, AuditInput, audit, audit_tables
from serialread.auditing.console import console_view
from serialread.auditing.input_tables import read_batches, read_readings, readings_path
from serialread.auditing.job_validation import GOLDEN, JobValidation, validate
from serialread.auditing.reader_comparison import ReaderComparison, compare
from serialread.auditing.report_files import FILES, WORKBOOK
from serialread.auditing.rerunning import FailurePictures, Rerun, rerun
from serialread.auditing.sampling import SAMPLE, ClaimPlan, SamplingPlan, plan_claim, plan_sampling
from serialread.auditing.wording import Finding, Severity

__all__ = [
    "FILES",
    "GOLDEN",
    "SAMPLE",
    "WORKBOOK",
    "Agreement",
    "Audit",
    "AuditInput",
    "ClaimPlan",
    "FailurePictures",
    "Finding",
    "JobValidation",
    "ReaderComparison",
    "Rerun",
    "SamplingPlan",
    "Severity",
    "agreement",
    "audit",
    "audit_tables",
    "compare",
    "console_view",
    "plan_claim",
    "plan_sampling",
    "read_batches",
    "read_readings",
    "readings_path",
    "rerun",
    "validate",
]
