"""Invented names: places, offices, units, people, companies, subjects."""

import random

PROVINCES = ["한결도", "푸른솔도", "이음도", "해담도"]
CITIES = ["가람시", "다온시", "새벽시", "노을시", "여울시", "소담시", "마루시", "도담시"]
COUNTIES = ["미리내군", "해오름군", "솔빛군", "물안개군", "은하군"]
DISTRICTS = ["아라구", "나래구", "한별구", "온새미구"]
METROPOLES = ["큰별광역시", "한솔특별시", "새론특별자치시"]
AGENCIES = ["산림가꿈청", "물길관리청", "지역통계청", "해양누리청", "소방안전청", "유산지킴청"]
MINISTRIES = ["지역상생부", "생활안전부", "미래교육부", "농어촌활력부"]
SCHOOLS = ["가람초등학교", "노을중학교", "여울고등학교", "한별특수학교", "마루대학교"]
EDUCATION = ["한결도교육청", "큰별광역시교육청", "푸른솔도교육청"]
LOCAL_EDUCATION = ["가람교육지원청", "다온교육지원청", "노을교육지원청"]
STATIONS = ["가람소방서", "다온경찰서", "새벽보건소", "여울도서관", "마루박물관"]
COMMITTEES = ["지역갈등조정위원회", "생활환경심의위원회", "공정거래상담위원회"]
UNITS = [
    "총무과",
    "기획예산과",
    "복지정책과",
    "안전총괄과",
    "도로관리팀",
    "농업기술과",
    "문화체육과",
    "정보통신담당관",
    "산림보호팀",
    "재산관리과",
    "행정지원국",
    "수질관리과",
    "청년정책단",
    "교육혁신과",
    "학생생활팀",
    "감사담당관",
    "도시재생과",
    "건축허가과",
    "교통행정과",
    "자원순환과",
    "홍보실",
    "인사과",
    "보건행정과",
    "AI행정팀",
]
SURNAMES = list(
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모남궁"[
        :60
    ]
)
GIVEN = [
    "가온",
    "나래",
    "다솜",
    "라온",
    "마루",
    "보람",
    "새롬",
    "아름",
    "여울",
    "은솔",
    "지호",
    "하늘",
    "한결",
    "해솔",
    "슬기",
    "서준",
    "민서",
    "도윤",
    "지우",
    "예린",
    "건",
    "솔",
    "별",
    "찬",
    "수아",
    "태양",
    "현우",
]
TITLES_LOW = [
    "주무관",
    "행정주사",
    "행정서기",
    "시설주사보",
    "지방행정주사",
    "주무",
    "실무관",
    "연구사",
    "교사",
    "주임",
]
TITLES_MID = [
    "팀장",
    "사무관",
    "계장",
    "담당사무관",
    "행정사무관",
    "교감",
    "서무팀장",
    "재정팀장",
    "운영팀장",
    "연구관",
]
TITLES_HIGH = ["과장", "국장", "실장", "부서장", "소장", "담당관", "부시장", "부군수", "서기관", "교장"]
SLOGANS = [
    "함께 여는 내일, 따뜻한 동행",
    "시민이 주인인 도시",
    "작은 변화로 여는 큰 미래",
    "청렴이 힘입니다",
    "푸른 하늘 맑은 물",
    "더 가까이 더 새롭게",
]
ROADS = ["중앙로", "시청길", "새싹로", "강변대로", "언덕길", "햇살로", "다리목길", "솔밭로"]
COMPANIES = [
    "해뜰건설",
    "푸른바다물산",
    "가온정보기술",
    "한울소재",
    "도담식품",
    "누리항공",
    "모아디자인",
    "다솔엔지니어링",
    "새봄제약",
    "큰나무출판",
    "이룸테크",
    "빛고을전자",
]
ASSOCIATIONS = [
    "사단법인 강마을문화협회",
    "한국새싹농업협회",
    "재단법인 고운빛장학회",
    "지역상인연합회",
    "바른먹거리협동조합",
]
TOPICS = [
    ("공공자전거 대여소 확대", "수요조사"),
    ("재난 대응 안전한국훈련", "참여 안내"),
    ("노후 상수관로 정비사업", "추진 현황 제출"),
    ("청년 창업공간 운영", "협조 요청"),
    ("어린이보호구역 교통안전시설", "점검 결과 통보"),
    ("2025년 하반기 정보보안 교육", "계획 알림"),
    ("산불 예방 홍보물 배부", "안내"),
    ("지방보조금 정산 보고서", "제출 요청"),
    ("도서관 야간 개관 시범운영", "의견 조회"),
    ("공유재산 실태조사", "자료 제출 요청"),
    ("가축전염병 차단방역", "철저 요청"),
    ("지역 문화재 야행 행사장", "사용 협조 요청"),
    ("저소득층 난방비 지원", "대상자 추천 의뢰"),
    ("신규 임용자 기본교육", "대상자 명단 제출"),
    ("공동주택 층간소음 상담", "운영 계획 통보"),
    ("빅데이터 분석 과제", "발굴 협조"),
    ("하천 불법점용 시설물", "원상회복 명령"),
    ("전기자동차 충전구역", "단속 결과 회신"),
    ("마을버스 노선 개편", "주민설명회 개최 알림"),
    ("평생학습 강좌 강사", "모집 공고 게재 요청"),
    ("교육급여 집행 잔액", "반납 안내"),
    ("여름철 물놀이 안전관리", "강화 방안 통보"),
    ("「제3회 새싹 과학축전」", "참가 신청 안내"),
    ("공무직 처우 개선", "실무협의회 개최 알림"),
    ("기록물 이관 일정", "변경 알림"),
    ("폐기물 처리시설 현장", "견학 협조 요청"),
]
ATTACHMENTS = [
    "추진계획",
    "신청서 서식",
    "세부 일정표",
    "참석자 명단",
    "제출 양식",
    "현황 조사표",
    "사업설명서",
    "위치도",
    "점검표",
    "개인정보 수집·이용 동의서",
    "예산 산출내역",
    "결과보고서",
    "질의응답 자료",
    "홍보 포스터 시안",
    "협약서(안)",
    "법령 개정 요약",
    "자주 묻는 질문(FAQ)",
    "시설물 사진",
    "교육 교재.pdf",
    "제출 서식.hwpx",
    "평가 기준표 및 배점 안내",
    "○○사업 정산 지침(제2판)",
]
BULLETS = [
    "지원 대상: 관내에 주소를 둔 만 19세 이상 주민",
    "신청 방법: 방문 또는 전자우편 접수",
    "선정 기준: 붙임 평가표 참조",
    "유의 사항: 서류가 미비한 경우 반려될 수 있음",
    "소요 인력: 기관별 2명 내외",
    "준비물: 신분증, 필기도구",
    "추진 방법: 읍·면·동별 자체 점검 후 합동 확인",
    "점검 내용: 소화기, 비상구, 전기설비 등",
    "홍보 방법: 누리집 및 게시판 활용",
    "예상 인원: 약 1,200명",
    "운영 방식: 위탁 운영(3년)",
    "지원 내용: 시설 개선비 및 운영 자문",
]
GREETINGS = [
    "귀 기관의 무궁한 발전을 기원합니다.",
    "귀사의 무궁한 발전을 기원합니다.",
    "귀 기관의 적극적인 협조에 감사드립니다.",
    "평소 우리 시 행정에 협조하여 주셔서 감사합니다.",
    "항상 저희 회사에 보내 주시는 성원에 깊이 감사드립니다.",
]


TITLE_LEADS = ["「지역상생 발전을 위한 특별법」 시행에 따른 ", "2025년도 제1회 추가경정예산 편성에 따른 "]


def address(rng: random.Random) -> str:
    """Return a road address."""
    return f"{rng.choice(METROPOLES)} {rng.choice(DISTRICTS)} {rng.choice(ROADS)} {rng.randint(1, 300)}"


def person(rng: random.Random) -> str:
    """Return a name of two to four syllables."""
    return rng.choice(SURNAMES) + rng.choice(GIVEN)


def domain(rng: random.Random, public: bool) -> str:
    """Return a fictional domain."""
    stem = "".join(
        rng.choice(["ga", "ram", "da", "on", "hae", "sol", "nuri", "mo", "ara", "byeol", "dam", "gil"])
        for _ in range(rng.randint(2, 3))
    )
    return f"{stem}.go.example" if public else f"{stem}.{rng.choice(['co.example', 'example', 'or.example'])}"


def phone(rng: random.Random, form: int) -> str:
    """Return a fictional phone number in one of the usual forms."""
    area = rng.choice(["02", "031", "033", "041", "051", "055", "064"])
    mid, last = f"{rng.choice(['', ''])}555", f"{rng.randint(0, 9999):04d}"
    if form == 1:
        return f"({area}){mid}-{last}"
    if form == 2:
        return f"070-5550-{last}"
    if form == 3:
        return f"{area}) {mid}-{last}"
    return f"{area}-{mid}-{last}"


def office(rng: random.Random) -> tuple[str, str]:
    """Return a public body and the office that signs for it."""
    kind = rng.randrange(11)
    if kind == 0:
        name = rng.choice(PROVINCES)
        return name, f"{name}지사"
    if kind == 1:
        name = rng.choice(CITIES)
        return name, f"{name}장"
    if kind == 2:
        name = rng.choice(COUNTIES)
        return name, f"{name}수"
    if kind == 3:
        name = rng.choice(METROPOLES) + " " + rng.choice(DISTRICTS)
        return name, f"{name}청장"
    if kind == 4:
        name = rng.choice(AGENCIES)
        return name, f"{name}장"
    if kind == 5:
        name = rng.choice(MINISTRIES)
        return name, f"{name}장관"
    if kind == 6:
        name = rng.choice(SCHOOLS)
        return name, f"{name}총장" if name.endswith("대학교") else f"{name}장"
    if kind == 7:
        name = rng.choice(EDUCATION)
        return name, f"{name[:-1]}감"
    if kind == 8:
        name = rng.choice(LOCAL_EDUCATION)
        return name, f"{name}교육장"
    if kind == 9:
        name = rng.choice(STATIONS)
        return name, f"{name}장"
    name = rng.choice(COMMITTEES)
    return name, name if rng.random() < 0.5 else f"{name}위원장"


def addressee(rng: random.Random) -> str:
    """Return an office that letters are sent to."""
    return office(rng)[1]
