"""The one place that builds everything from settings. A test can replace the clock, the chance and the stores."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import structlog
from flask import Blueprint, Flask

from app.factors.access_code.service import AccessCodes
from app.factors.password.blocklist import Blocklist
from app.factors.password.service import Passwords
from app.factors.pin.service import Pins
from app.factors.recovery_code.service import RecoveryCodes
from app.factors.security_question.service import SecurityAnswers
from app.factors.totp.service import AuthenticatorApps
from app.foundation.chance import Chance, SystemChance
from app.foundation.clock import Clock, SystemClock
from app.foundation.ephemeral import Ephemeral
from app.foundation.keyfile import keys_of
from app.foundation.metrics import Metrics
from app.foundation.refusals import StoreAway
from app.foundation.secretbox import Keyring
from app.foundation.settings import EVERYWHERE, ROOT, BadSetting, Settings
from app.foundation.slowhash import SlowHasher
from app.foundation.sql import Database, Transaction, installation
from app.foundation.web import application
from app.journeys.activation import views as activation_views
from app.journeys.activation.service import Activation, ActivationMeans
from app.journeys.administration.model import NotDone
from app.journeys.api import model as api_model
from app.journeys.api import views as api_views
from app.journeys.api.service import Api, ApiMeans
from app.journeys.approvals import views as approvals_views
from app.journeys.approvals.service import ApprovalMeans, Approvals, Approving
from app.journeys.auditing import views as auditing_views
from app.journeys.auditing.service import Auditing, AuditLog, SealMail, SealMailMeans
from app.journeys.authenticators import views as authenticators_views
from app.journeys.authenticators.model import SavedCodes as CodesShown
from app.journeys.authenticators.service import Authenticators, AuthenticatorsMeans, OwnSessions
from app.journeys.classic import views as classic_views
from app.journeys.classic.service import Classic, ClassicMeans
from app.journeys.clients import views as clients_views
from app.journeys.clients.service import ClientMeans, Clients
from app.journeys.contacts import views as contacts_views
from app.journeys.contacts.service import ContactMeans, Contacts
from app.journeys.dashboard import views as dashboard_views
from app.journeys.dashboard.service import Counting, Dashboard, DashboardMeans
from app.journeys.demo import views as demo_views
from app.journeys.demo.service import DemoDesk, DemoInbox
from app.journeys.directory import views as directory_views
from app.journeys.directory.service import Directory, DirectoryMeans
from app.journeys.enrollment import views as enrollment_views
from app.journeys.enrollment.service import Enrollment, OwnApps, OwnAppsMeans
from app.journeys.help import views as help_views
from app.journeys.help.service import Help, HelpMeans
from app.journeys.importing import views as importing_views
from app.journeys.importing.service import Importing, ImportingMeans
from app.journeys.membership import views as membership_views
from app.journeys.membership.service import Members, MembershipMeans, OwnMemberships
from app.journeys.messaging import views as messaging_views
from app.journeys.messaging.service import Messaging, MessagingMeans
from app.journeys.operations import views as operations_views
from app.journeys.operations.service import Housekeeping, Operations
from app.journeys.policy import views as policy_views
from app.journeys.policy.service import Policies, PolicyMeans, PolicyNotices
from app.journeys.recovery import views as recovery_views
from app.journeys.recovery.service import Recovery, RecoveryMeans
from app.journeys.recovery_codes import views as recovery_codes_views
from app.journeys.recovery_codes.service import OwnCodes
from app.journeys.rehearsal import views as rehearsal_views
from app.journeys.rehearsal.service import Rehearsal, RehearsalMeans
from app.journeys.reminders.service import Reminders, RemindersMeans
from app.journeys.security_question import views as security_question_views
from app.journeys.security_question.service import OwnQuestion
from app.journeys.signin import views as signin_views
from app.journeys.signin.service import SignIn, SignInMeans, StepUp
from app.journeys.soap import views as soap_views
from app.journeys.soap.service import SoapUsers
from app.journeys.support import views as support_views
from app.journeys.support.service import Support, SupportMeans
from app.journeys.undo import views as undo_views
from app.journeys.undo.service import Undo, UndoMeans
from app.records.attempts.service import AddressLimits, Tries
from app.records.cases.service import UndoLinks
from app.records.delivery import channels
from app.records.delivery.channels.letters import Letters
from app.records.delivery.channels.sms_twilio import millionths
from app.records.delivery.model import Caps, Channel, Destination, Sender
from app.records.delivery.outbox import Outbox
from app.records.delivery.rules import country_of
from app.records.delivery.service import Callbacks, Prices, SmsGuard, SmsGuardMeans
from app.records.delivery.worker import Worker
from app.records.flows.service import Flows
from app.records.organizations import store as organizations
from app.records.organizations.model import Opening, SupportLine, SupportPolicy
from app.records.people import store as people
from app.records.people.model import Status
from app.steps.app_code import AppCodes
from app.steps.asked_mail import AskedMail
from app.steps.casework import Casework
from app.steps.change import Changes
from app.steps.claim import Claims
from app.steps.classics import Classics
from app.steps.code_set import CodeSets
from app.steps.credentials import Credentials, CredentialsMeans
from app.steps.enlist import Enlisting
from app.steps.handoff import Handoffs
from app.steps.helpdesk import Helpdesks
from app.steps.invite import Invitations
from app.steps.lane_link import LaneLinks
from app.steps.new_app import NewAppMeans, NewApps
from app.steps.new_password import NewPassword
from app.steps.password import PasswordStep
from app.steps.pin import PinMeans
from app.steps.presence import Presence
from app.steps.saved_code import SavedCodes
from app.steps.security_answer import SecurityAnswerMeans, SecurityAnswerStep
from app.steps.staff import Staffing

THREADS = 32  # request threads of a worker process
# fewer than the threads, so that a flood of sign-ins leaves some for the other pages
HASHING_QUEUE = 16
TELLING = 60.0  # seconds between two looks for policies to come of which people have yet to be told
EXPIRING = 300.0  # seconds between two looks for requests of support whose time is over
REMINDING = 900.0  # seconds between two looks for passwords that expire soon
COUNTING = 60.0  # seconds between two looks whether an hour is over that the dashboard has yet to count
SEALING = 5.0  # seconds between two seals: what is newer can be altered unseen


@dataclass(frozen=True, slots=True)
class Foundation:
    """What everyone stands on."""

    settings: Settings
    clock: Clock
    chance: Chance
    keyring: Keyring
    database: Database
    ephemeral: Ephemeral
    hasher: SlowHasher


@dataclass(frozen=True, slots=True)
class Means:
    """Records and factors: what the journeys use."""

    tries: Tries
    limits: AddressLimits
    flows: Flows
    outbox: Outbox
    undo: UndoLinks
    apps: AuthenticatorApps
    pins: Pins
    passwords: Passwords
    codes: RecoveryCodes
    access: AccessCodes
    answers: SecurityAnswers


@dataclass(frozen=True, slots=True)
class Steps:
    """What several journeys walk alike."""

    claims: Claims
    password: PasswordStep
    app_codes: AppCodes
    pins: PinMeans
    new_password: NewPassword
    presence: Presence
    helpdesks: Helpdesks
    staffing: Staffing
    changes: Changes
    saved_codes: SavedCodes
    security_answers: SecurityAnswerStep
    code_sets: CodeSets
    mail: AskedMail
    classics: Classics
    lane_links: LaneLinks
    invitations: Invitations
    new_apps: NewApps
    handoffs: Handoffs
    credentials: Credentials


def build_foundation(
    settings: Settings,
    *,
    ephemeral_url: str,
    clock: Clock | None = None,
    chance: Chance | None = None,
    keyring: Keyring | None = None,
) -> Foundation:
    """Open the stores. Nothing is contacted before it is needed."""
    chance = chance or SystemChance()
    return Foundation(
        settings=settings,
        clock=clock or SystemClock(),
        chance=chance,
        keyring=keyring or Keyring(keys_of(settings, chance), chance),
        database=Database(settings.database),
        ephemeral=Ephemeral(ephemeral_url),
        hasher=SlowHasher(
            memory_kib=settings.argon2_memory_kib,
            passes=settings.argon2_passes,
            slots=settings.hashing_slots or max(1, (os.cpu_count() or 1) // settings.workers),
            queue=HASHING_QUEUE,
            chance=chance,
        ),
    )


def admit(base: Foundation) -> None:
    """Refuse a database of the other kind, and keys that are not its own, before anything is written with them."""
    with base.database.begin() as transaction:
        if installation.is_demo(transaction) is not base.settings.demo:
            if base.settings.demo:
                raise NotDone("this database was not made for the demo; it is left alone")
            raise NotDone("this database was made for the demo, with passwords that everybody knows; use another")
        unfit = installation.remember_keys(transaction, installation.key_checks(base.keyring))
    if unfit:
        raise BadSetting(f"SECRET_KEYS: not the keys that this database was used with ({', '.join(unfit)})")


def build_means(base: Foundation) -> Means:
    """The records and factors."""
    settings = base.settings
    tries = _tries(base)
    outbox = Outbox(base.keyring, base.chance, settings.host)
    undo = UndoLinks(chance=base.chance, public_url=settings.public_url)
    return Means(
        tries=tries,
        limits=AddressLimits(
            base.ephemeral,
            base.clock,
            starts=settings.limit_starts_per_address,
            tries=settings.limit_tries_per_address,
        ),
        flows=Flows(base.ephemeral, base.clock, base.chance),
        outbox=outbox,
        undo=undo,
        apps=AuthenticatorApps(base.keyring, base.chance),
        pins=Pins(
            base.keyring,
            base.chance,
            outbox,
            tries,
            messages_per_hour=settings.limit_messages_per_hour,
            sms=build_guard(base, tries),
        ),
        passwords=Passwords(
            database=base.database,
            hasher=base.hasher,
            keyring=base.keyring,
            clock=base.clock,
            chance=base.chance,
            blocklist=Blocklist(ROOT / "config" / "blocklist.bin"),
            tries=tries,
            outbox=outbox,
            undo=undo,
        ),
        codes=RecoveryCodes(base.hasher, base.keyring, base.chance),
        access=AccessCodes(base.hasher, base.keyring, base.chance),
        answers=SecurityAnswers(base.database, base.hasher, base.keyring),
    )


def _tries(base: Foundation) -> Tries:
    return Tries(
        base.database,
        base.ephemeral,
        base.keyring,
        base.clock,
        stranger_failures_per_day=base.settings.limit_stranger_failures_per_day,
    )


def build_guard(base: Foundation, tries: Tries) -> SmsGuard:
    """What lets SMS leave."""
    settings = base.settings
    return SmsGuard(
        SmsGuardMeans(
            keyring=base.keyring,
            countries=None if EVERYWHERE in settings.sms_countries else settings.sms_countries,
            caps=Caps(
                per_day=settings.limit_sms_per_day,
                per_organization=settings.limit_sms_per_organization,
                per_prefix=settings.limit_sms_per_prefix,
                notices_per_day=settings.limit_sms_notices_per_day,
                floor=settings.sms_verified_floor,
                sample=settings.sms_verified_sample,
            ),
            prices=Prices(
                settings.sms_currency,
                millionths(settings.sms_price) or 0,
                {country: millionths(price) or 0 for country, price in settings.sms_prices.items()},
            ),
            hold=tries.hold_messages,
            home=home_of,
            countries_of=sms_countries_of,
        )
    )


def home_of(transaction: Transaction, person_id: int) -> str | None:
    """The home organization of a person, None for nobody."""
    person = people.get(transaction, person_id)
    return person.home_organization if person else None


def sms_countries_of(transaction: Transaction, person_id: int, now: int) -> tuple[str, ...] | None:
    """Where the policy that somebody meets lets SMS go; None where it leaves that to the settings."""
    return organizations.policy_of_person(transaction, person_id, now).sms_countries or None


def build_steps(base: Foundation, means: Means) -> Steps:
    """What several journeys walk alike."""
    claims = Claims(
        database=base.database, flows=means.flows, tries=means.tries, limits=means.limits, outbox=means.outbox
    )
    changes = Changes(outbox=means.outbox, undo=means.undo)
    presence = Presence(database=base.database, tries=means.tries, chance=base.chance, clock=base.clock)
    password = PasswordStep(
        database=base.database, passwords=means.passwords, tries=means.tries, claims=claims, clock=base.clock
    )
    security_answers = SecurityAnswerStep(
        SecurityAnswerMeans(
            database=base.database,
            answers=means.answers,
            tries=means.tries,
            claims=claims,
            changes=changes,
            clock=base.clock,
        )
    )
    handoffs = Handoffs(keyring=base.keyring, public_url=base.settings.public_url)
    mail = AskedMail(
        database=base.database,
        claims=claims,
        tries=means.tries,
        outbox=means.outbox,
        clock=base.clock,
        messages_per_hour=base.settings.limit_messages_per_hour,
    )
    return Steps(
        claims=claims,
        password=password,
        handoffs=handoffs,
        credentials=Credentials(
            CredentialsMeans(
                database=base.database,
                passwords=means.passwords,
                password=password,
                tries=means.tries,
                limits=means.limits,
                security_answers=security_answers,
                handoffs=handoffs,
                chance=base.chance,
                clock=base.clock,
            )
        ),
        app_codes=AppCodes(
            database=base.database,
            apps=means.apps,
            tries=means.tries,
            limits=means.limits,
            claims=claims,
            clock=base.clock,
        ),
        pins=PinMeans(
            database=base.database,
            flows=means.flows,
            pins=means.pins,
            tries=means.tries,
            limits=means.limits,
            outbox=means.outbox,
            claims=claims,
            clock=base.clock,
        ),
        new_password=NewPassword(
            database=base.database,
            flows=means.flows,
            passwords=means.passwords,
            clock=base.clock,
            brand=base.settings.brand_name,
        ),
        presence=presence,
        helpdesks=Helpdesks(database=base.database, flows=means.flows, clock=base.clock),
        staffing=Staffing(database=base.database, presence=presence),
        changes=changes,
        saved_codes=SavedCodes(
            database=base.database,
            codes=means.codes,
            access=means.access,
            tries=means.tries,
            limits=means.limits,
            claims=claims,
            changes=changes,
            clock=base.clock,
        ),
        security_answers=security_answers,
        code_sets=CodeSets(
            database=base.database,
            codes=means.codes,
            changes=changes,
            tries=means.tries,
            ephemeral=base.ephemeral,
            keyring=base.keyring,
            clock=base.clock,
        ),
        mail=mail,
        classics=Classics(database=base.database, clock=base.clock),
        lane_links=LaneLinks(database=base.database, claims=claims, mail=mail, chance=base.chance, clock=base.clock),
        invitations=Invitations(
            keyring=base.keyring, chance=base.chance, outbox=means.outbox, public_url=base.settings.public_url
        ),
        new_apps=NewApps(
            NewAppMeans(
                database=base.database,
                ephemeral=base.ephemeral,
                keyring=base.keyring,
                chance=base.chance,
                apps=means.apps,
                tries=means.tries,
                limits=means.limits,
                changes=changes,
                issuer=base.settings.brand_name,
            )
        ),
    )


def support_of(settings: Settings) -> SupportPolicy:
    """The installation's support as organizations say theirs; nobody, where the settings name nobody."""
    line = (settings.support_phone, settings.support_email)
    return SupportPolicy(
        lines=(SupportLine(phone=line[0], email=line[1]),) if any(line) else (),
        time_zone=settings.support_time_zone,
        openings=tuple(Opening(*one) for one in settings.support_openings),
    )


def build_policies(base: Foundation, means: Means, steps: Steps) -> PolicyMeans:
    """What organizations and their policies stand on, at the command and on the page."""
    settings = base.settings
    return PolicyMeans(
        database=base.database,
        clock=base.clock,
        chance=base.chance,
        outbox=means.outbox,
        staffing=steps.staffing,
        country_of=country_of,
        countries=None if EVERYWHERE in settings.sms_countries else settings.sms_countries,
        language=settings.default_language,
    )


def build_web(base: Foundation, means: Means) -> Flask:
    """The portal: every journey behind its doors."""
    settings = base.settings
    app = application.build(settings, base.keyring, base.chance, base.clock)
    metrics = Metrics()
    app.extensions["keyturn.requests"] = metrics.request
    steps = build_steps(base, means)
    sign_in_means = SignInMeans(
        database=base.database,
        flows=means.flows,
        limits=means.limits,
        apps=means.apps,
        passwords=means.passwords,
        clock=base.clock,
        claims=steps.claims,
        password=steps.password,
        app_codes=steps.app_codes,
        codes=means.codes,
        saved_codes=steps.saved_codes,
        security_answers=steps.security_answers,
        pins=steps.pins,
        new_password=steps.new_password,
        presence=steps.presence,
        helpdesks=steps.helpdesks,
        handoffs=steps.handoffs,
        classics=steps.classics,
    )
    recovery = Recovery(
        RecoveryMeans(
            database=base.database,
            flows=means.flows,
            tries=means.tries,
            limits=means.limits,
            passwords=means.passwords,
            outbox=means.outbox,
            clock=base.clock,
            claims=steps.claims,
            app_codes=steps.app_codes,
            saved_codes=steps.saved_codes,
            lane_links=steps.lane_links,
            pins=steps.pins,
            new_password=steps.new_password,
            helpdesks=steps.helpdesks,
        )
    )
    undo = Undo(
        UndoMeans(
            database=base.database,
            flows=means.flows,
            limits=means.limits,
            apps=means.apps,
            codes=means.codes,
            answers=means.answers,
            passwords=means.passwords,
            outbox=means.outbox,
            links=means.undo,
            clock=base.clock,
            chance=base.chance,
            claims=steps.claims,
            app_codes=steps.app_codes,
            helpdesks=steps.helpdesks,
            saved_codes=steps.saved_codes,
        )
    )
    operations = Operations(
        database=base.database, ephemeral=base.ephemeral, hasher=base.hasher, messages=means.outbox, clock=base.clock
    )
    metrics.watch(operations.figures)
    callbacks = Callbacks(base.database, settings.twilio_auth_token, settings.public_url, base.clock)
    watching = operations_views.blueprint(operations, callbacks, metrics, settings, base.clock)
    app.register_blueprint(signin_views.blueprint(SignIn(sign_in_means), steps.presence))
    app.register_blueprint(signin_views.step_up_blueprint(StepUp(sign_in_means), steps.presence))
    app.register_blueprint(recovery_views.blueprint(recovery))
    classic = Classic(
        ClassicMeans(
            database=base.database,
            keyring=base.keyring,
            chance=base.chance,
            clock=base.clock,
            flows=means.flows,
            limits=means.limits,
            passwords=means.passwords,
            new_password=steps.new_password,
            mail=steps.mail,
            classics=steps.classics,
        )
    )
    app.register_blueprint(classic_views.blueprint(classic))
    app.register_blueprint(help_views.blueprint(Help(HelpMeans(support_of(settings), steps.classics, base.clock))))
    app.register_blueprint(undo_views.blueprint(undo))
    approval_means = build_approval_means(base, means, steps)
    app.register_blueprint(approvals_views.blueprint(Approvals(approval_means), steps.staffing))
    app.register_blueprint(approvals_views.person_blueprint(Approving(approval_means)))
    authenticators = Authenticators(
        AuthenticatorsMeans(
            database=base.database,
            ephemeral=base.ephemeral,
            passwords=means.passwords,
            tries=means.tries,
            limits=means.limits,
            clock=base.clock,
            password=steps.password,
            new_password=steps.new_password,
            presence=steps.presence,
            security_answers=steps.security_answers,
            saved_codes=_saved_codes_of(means.codes),
        )
    )
    rehearsal = Rehearsal(
        RehearsalMeans(
            database=base.database,
            codes=means.codes,
            flows=means.flows,
            tries=means.tries,
            limits=means.limits,
            clock=base.clock,
            claims=steps.claims,
            app_codes=steps.app_codes,
            pins=steps.pins,
        )
    )
    app.register_blueprint(rehearsal_views.blueprint(rehearsal, steps.presence))
    activation = Activation(
        ActivationMeans(
            database=base.database,
            flows=means.flows,
            limits=means.limits,
            passwords=means.passwords,
            clock=base.clock,
            claims=steps.claims,
            invitations=steps.invitations,
            password=steps.password,
            new_password=steps.new_password,
            pins=steps.pins,
            new_apps=steps.new_apps,
            code_sets=steps.code_sets,
            helpdesks=steps.helpdesks,
        )
    )
    app.register_blueprint(activation_views.blueprint(activation, qr_svg))
    app.register_blueprint(authenticators_views.blueprint(authenticators, steps.presence))
    own_sessions = OwnSessions(database=base.database, clock=base.clock)
    app.register_blueprint(authenticators_views.sessions_blueprint(own_sessions, steps.presence))
    _own_factors(app, base, means, steps)
    contacts = Contacts(
        ContactMeans(
            database=base.database,
            flows=means.flows,
            limits=means.limits,
            tries=means.tries,
            outbox=means.outbox,
            chance=base.chance,
            clock=base.clock,
            claims=steps.claims,
            pins=steps.pins,
            presence=steps.presence,
            changes=steps.changes,
        )
    )
    app.register_blueprint(contacts_views.blueprint(contacts, steps.presence))
    audit_log = AuditLog(database=base.database, limits=means.limits, staffing=steps.staffing, clock=base.clock)
    app.register_blueprint(auditing_views.blueprint(audit_log, steps.staffing))
    support = Support(
        SupportMeans(
            database=base.database,
            staffing=steps.staffing,
            passwords=means.passwords,
            codes=means.codes,
            security_answers=steps.security_answers,
            tries=means.tries,
            clock=base.clock,
        )
    )
    app.register_blueprint(support_views.blueprint(support, steps.staffing))
    _administration(app, base, means, steps)
    policies = Policies(build_policies(base, means, steps))
    app.register_blueprint(policy_views.blueprint(policies, steps.staffing))
    dashboard = Dashboard(
        DashboardMeans(
            database=base.database,
            clock=base.clock,
            budget=settings.limit_sms_per_organization,
            currency=settings.sms_currency,
        )
    )
    app.register_blueprint(dashboard_views.blueprint(dashboard, steps.staffing))
    app.register_blueprint(watching)
    operations_views.exempt(app.extensions["csrf"], watching)
    _programs(app, base, means, steps)
    if settings.demo:
        desk = DemoDesk(
            database=base.database,
            apps=means.apps,
            inbox=DemoInbox(base.ephemeral),
            clock=base.clock,
            issuer=settings.brand_name,
        )
        app.register_blueprint(demo_views.blueprint(desk, qr_svg))
    return app


def _programs(app: Flask, base: Foundation, means: Means, steps: Steps) -> None:
    """The doors of programs, which send no cookie and no form."""
    settings = base.settings
    public_url = settings.public_url.rstrip("/")
    api = Api(
        ApiMeans(
            database=base.database,
            ephemeral=base.ephemeral,
            limits=means.limits,
            credentials=steps.credentials,
            clock=base.clock,
            per_client=settings.limit_api_per_client,
            sign_ins_per_client=settings.limit_api_sign_ins_per_client,
        )
    )
    doors = api_views.blueprint(api, public_url)
    app.register_blueprint(doors)
    api_views.exempt(app.extensions["csrf"], doors)
    application.answer_quickly(
        app, settings, base.chance, base.clock, api_model.INTROSPECT, api_views.quick(api, public_url)
    )
    soap = soap_views.blueprint(SoapUsers(steps.credentials), settings)
    app.register_blueprint(soap)
    soap_views.exempt(app.extensions["csrf"], soap)


def _administration(app: Flask, base: Foundation, means: Means, steps: Steps) -> None:
    """What administrators do about people."""
    directory = Directory(
        DirectoryMeans(
            database=base.database,
            tries=means.tries,
            clock=base.clock,
            staffing=steps.staffing,
            keep_days=base.settings.audit_keep_days,
        )
    )
    app.register_blueprint(directory_views.blueprint(directory, steps.staffing))
    enlisting = Enlisting(passwords=means.passwords, apps=means.apps, chance=base.chance)
    importing = Importing(
        ImportingMeans(
            database=base.database,
            ephemeral=base.ephemeral,
            keyring=base.keyring,
            chance=base.chance,
            clock=base.clock,
            limits=means.limits,
            enlisting=enlisting,
            staffing=steps.staffing,
        )
    )
    app.register_blueprint(importing_views.blueprint(importing, steps.staffing))
    messaging = Messaging(
        MessagingMeans(
            database=base.database,
            ephemeral=base.ephemeral,
            clock=base.clock,
            limits=means.limits,
            tries=means.tries,
            outbox=means.outbox,
            staffing=steps.staffing,
            configured=channels.configured(base.settings),
            messages_per_hour=base.settings.limit_messages_per_hour,
        )
    )
    app.register_blueprint(messaging_views.blueprint(messaging, steps.staffing))
    clients = Clients(
        ClientMeans(
            database=base.database,
            ephemeral=base.ephemeral,
            keyring=base.keyring,
            chance=base.chance,
            clock=base.clock,
            staffing=steps.staffing,
        )
    )
    app.register_blueprint(clients_views.blueprint(clients, steps.staffing))
    membership = MembershipMeans(
        database=base.database,
        ephemeral=base.ephemeral,
        keyring=base.keyring,
        chance=base.chance,
        clock=base.clock,
        limits=means.limits,
        tries=means.tries,
        outbox=means.outbox,
        invitations=steps.invitations,
        enlisting=enlisting,
        presence=steps.presence,
        staffing=steps.staffing,
    )
    app.register_blueprint(membership_views.blueprint(Members(membership), steps.staffing))
    app.register_blueprint(membership_views.own_blueprint(OwnMemberships(membership), steps.presence))


def build_approval_means(base: Foundation, means: Means, steps: Steps) -> ApprovalMeans:
    """What requests of support stand on, for the portal and for the operator's command."""
    return ApprovalMeans(
        database=base.database,
        staffing=steps.staffing,
        casework=Casework(
            outbox=means.outbox,
            undo=means.undo,
            keyring=base.keyring,
            chance=base.chance,
            public_url=base.settings.public_url,
            language=base.settings.default_language,
        ),
        flows=means.flows,
        limits=means.limits,
        tries=means.tries,
        claims=steps.claims,
        passwords=means.passwords,
        access=means.access,
        invitations=steps.invitations,
        outbox=means.outbox,
        clock=base.clock,
        chance=base.chance,
    )


def _saved_codes_of(codes: RecoveryCodes) -> Callable[[Transaction, int], CodesShown | None]:
    """What the AUTHENTICATORS page shows of a set of recovery codes."""

    def saved_codes(looking: Transaction, person_id: int) -> CodesShown | None:
        standing = codes.standing(looking, person_id)
        if standing is None:
            return None
        return CodesShown(standing.left, standing.made_at, standing.usable_from, standing.last_used_at)

    return saved_codes


def _own_factors(app: Flask, base: Foundation, means: Means, steps: Steps) -> None:
    """What somebody signed in does with their codes, question and apps."""
    own_codes = OwnCodes(
        database=base.database, code_sets=steps.code_sets, limits=means.limits, presence=steps.presence
    )
    app.register_blueprint(recovery_codes_views.blueprint(own_codes, steps.presence))
    own_question = OwnQuestion(
        database=base.database,
        security_answers=steps.security_answers,
        tries=means.tries,
        limits=means.limits,
        presence=steps.presence,
    )
    app.register_blueprint(security_question_views.blueprint(own_question, steps.presence))
    app.register_blueprint(_enrollment(base, means, steps))


def _enrollment(base: Foundation, means: Means, steps: Steps) -> Blueprint:
    own = OwnApps(
        OwnAppsMeans(
            database=base.database,
            apps=means.apps,
            tries=means.tries,
            limits=means.limits,
            claims=steps.claims,
            presence=steps.presence,
            changes=steps.changes,
        )
    )
    enrollment = Enrollment(steps.new_apps, steps.presence)
    return enrollment_views.blueprint(enrollment, own, steps.presence, qr_svg)


def build_senders(base: Foundation) -> dict[Channel, Sender]:
    """The ways out of the house. In the demo messages go to the page /demo and nowhere else."""
    inbox = DemoInbox(base.ephemeral) if base.settings.demo else None
    return channels.build(base.settings, base.clock, inbox=inbox)


def build_worker(base: Foundation, senders: dict[Channel, Sender] | None = None) -> Worker:
    """The sender of messages."""
    return Worker(
        base.database,
        base.keyring,
        base.chance,
        base.clock,
        channels=senders or build_senders(base),
        letters=Letters(base.settings),
        lookup=destination,
        gate=build_guard(base, _tries(base)).gate,
        currency=base.settings.sms_currency,
    )


def destination(transaction: Transaction, contact_id: str) -> Destination | None:
    """Where a message goes, read when it leaves and never before (requirements B-15)."""
    contact = people.contact(transaction, contact_id)
    person = people.get(transaction, contact.person_id) if contact else None
    if contact is None or person is None:
        return None
    return Destination(contact.address, removed=contact.removed_at is not None, active=person.status is Status.ACTIVE)


def qr_svg(text: str) -> bytes:
    """A QR code as an SVG path: no style attribute, so it needs nothing from the content security policy."""
    import qrcode  # noqa: PLC0415 - needed on few pages
    from qrcode.image.svg import SvgPathImage  # noqa: PLC0415

    picture = BytesIO()
    qrcode.make(text, image_factory=SvgPathImage, box_size=10, border=4).save(picture)
    return picture.getvalue()


def run_worker(base: Foundation, stop: threading.Event) -> None:
    """Send until told to stop; beside it tidy up each hour, and seal, check and mail the audit log in its time."""
    housekeeping = Housekeeping(base.database, base.clock)
    auditing = build_auditing(base)
    counting = Counting(base.database, base.clock)

    def keep(duty: Callable[[], object], what: str, pause: float) -> None:
        while not stop.is_set():
            try:
                duty()
            except StoreAway:
                structlog.get_logger().warning("unavailable", what=f"database, while {what}")
            except Exception:  # noqa: BLE001 - whatever it is
                # one defect must not end a duty for as long as the worker lives: nothing would be sealed any more
                structlog.get_logger().exception("duty_failed", what=what)
            stop.wait(pause)

    def tidy() -> None:
        housekeeping.fill_keys()
        housekeeping.tidy()
        auditing.forget()

    senders = build_senders(base)
    worker = build_worker(base, senders)
    means = build_means(base)
    steps = build_steps(base, means)
    notices = PolicyNotices(build_policies(base, means, steps))
    approvals = Approvals(build_approval_means(base, means, steps))
    reminders = build_reminders(base, means)
    duties = [
        threading.Thread(target=keep, args=(notices.tell, "telling of policies to come", TELLING), name="tell"),
        threading.Thread(target=keep, args=(approvals.expire, "ending requests of support", EXPIRING), name="expire"),
        threading.Thread(target=keep, args=(reminders.remind, "reminding of expiry", REMINDING), name="remind"),
        threading.Thread(target=keep, args=(tidy, "tidying up", 3_600), name="tidy"),
        threading.Thread(target=keep, args=(auditing.seal, "sealing the audit log", SEALING), name="seal"),
        threading.Thread(target=keep, args=(auditing.check, "checking the audit log", 600), name="check"),
        threading.Thread(target=keep, args=(counting.count, "counting what happened", COUNTING), name="count"),
    ]
    if base.settings.audit_seals_mail_to:
        seal_mail = build_seal_mail(base, senders[Channel.EMAIL])
        duties.append(threading.Thread(target=keep, args=(seal_mail.mail, "mailing a seal", SEALING), name="seal-mail"))
    for duty in duties:
        duty.start()
    worker.run(stop)
    for duty in duties:
        duty.join()


def build_reminders(base: Foundation, means: Means) -> Reminders:
    """Tells people that their passwords expire."""
    return Reminders(
        RemindersMeans(
            database=base.database,
            passwords=means.passwords,
            outbox=means.outbox,
            clock=base.clock,
            language=base.settings.default_language,
        )
    )


def build_auditing(base: Foundation) -> Auditing:
    """The audit log for those who watch it."""
    settings = base.settings
    return Auditing(
        base.database,
        base.keyring,
        base.clock,
        keep_days=settings.audit_keep_days,
        seals_to=Path(settings.audit_seals_to) if settings.audit_seals_to else None,
    )


def build_seal_mail(base: Foundation, sender: Sender) -> SealMail:
    """Mails the newest seal to the operator's address."""
    settings = base.settings
    return SealMail(
        SealMailMeans(
            database=base.database,
            clock=base.clock,
            chance=base.chance,
            sender=sender,
            letters=Letters(settings),
            to=settings.audit_seals_mail_to,
            hours=settings.audit_seals_mail_hours,
            language=settings.default_language,
            host=settings.host,
        )
    )


__all__ = [
    "Foundation",
    "Means",
    "admit",
    "build_approval_means",
    "build_auditing",
    "build_foundation",
    "build_means",
    "build_reminders",
    "build_seal_mail",
    "build_senders",
    "build_web",
    "build_worker",
    "run_worker",
]
